"""Following a job that is not in the table yet, and while a server is away."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console
from rich.text import Text

from jobtrail import watch
from jobtrail.errors import NotFound
from jobtrail.tracker import Tracker
from jobtrail.watch import ARRIVAL_SECONDS, POLL_SECONDS, changes_shown, follow_job

UNKNOWN = httpx.Response(404, json={"detail": "the table knows no job 'job-1'"})
AWAY = httpx.Response(503, json={"detail": "PostgreSQL does not answer; try again soon"})
Make = Callable[..., dict[str, Any]]


class Watched:
    """A job followed on a clock that only waiting moves; the API's last answer is repeated."""

    def __init__(self, api: Any, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.now = 0.0
        self.shown: list[str] = []
        api(self._answer)

    def _answer(self, _: httpx.Request) -> httpx.Response:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def follow(self) -> dict[str, Any]:
        return follow_job(
            Tracker("http://tracker.test"),
            "job-1",
            lambda text, seconds: self.shown.append(text.plain + seconds),
            clock=lambda: self.now,
            wait=self._wait,
        )


def ok(job: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"job": job})


def test_a_job_that_was_just_requested_is_waited_for(api: Any, job: Make) -> None:
    watched = Watched(api, UNKNOWN, UNKNOWN, ok(job()))
    assert watched.follow()["status"] == "COMPLETED"
    assert watched.now == 2 * POLL_SECONDS
    assert watched.shown[0] == "the table knows no job 'job-1'; waiting up to 30 s for it"


def test_a_job_that_never_arrives_is_given_up(api: Any) -> None:
    watched = Watched(api, UNKNOWN)
    with pytest.raises(NotFound, match="knows no job"):
        watched.follow()
    assert watched.now == ARRIVAL_SECONDS


@pytest.mark.parametrize("away", [AWAY, httpx.ConnectError("refused")], ids=["PostgreSQL", "API"])
def test_a_server_that_is_away_is_polled_again(api: Any, job: Make, away: httpx.Response | Exception) -> None:
    watched = Watched(api, *[away] * 100, ok(job()))
    assert watched.follow()["status"] == "COMPLETED"
    assert watched.now == 100 * POLL_SECONDS
    assert "does not answer" in watched.shown[0]


def test_while_a_server_is_away_no_job_can_arrive(api: Any, job: Make) -> None:
    late = [UNKNOWN] * 20
    assert Watched(api, *late, AWAY, *late, ok(job())).follow()["status"] == "COMPLETED"


def test_a_job_that_was_there_and_is_deleted_is_not_waited_for(api: Any, job: Make) -> None:
    watched = Watched(api, ok(job(status="RUNNING", state="running")), UNKNOWN)
    with pytest.raises(NotFound):
        watched.follow()
    assert watched.now == POLL_SECONDS


def test_the_command_waits_and_shows_the_end(api: Any, run: Any, job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    Watched(api, UNKNOWN, AWAY, ok(job(status="FAILED", outcome="failed")))
    ended = run("jobs", "watch", "job-1")
    assert (ended.code, ended.err) == (1, "")
    assert "PRODUCT_PULL FAILED" in ended.out


def test_a_pipe_gets_one_line_for_each_change() -> None:
    pipe = StringIO()
    with changes_shown(Console(file=pipe, width=20)) as show:
        for done, seconds in ((1, 3), (1, 2), (2, 1), (2, 1), (3, 0)):
            show(Text(f"PRODUCT_PULL RUNNING {done} of 3"), f" · {seconds} s left")
    assert pipe.getvalue() == "".join(f"PRODUCT_PULL RUNNING {done} of 3\n" for done in (1, 2, 3))


def test_a_terminal_shows_the_last_state_with_its_seconds() -> None:
    terminal = StringIO()
    with changes_shown(Console(file=terminal, force_terminal=True, width=80)) as show:
        show(Text("RUNNING"), " · 3 s left")
    assert "RUNNING · 3 s left" in terminal.getvalue() and terminal.getvalue().endswith("\n\x1b[?25h")
