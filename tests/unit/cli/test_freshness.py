"""An answer from an old table is told to be one, beside what it says and instead of silence."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from jobtrail.tracker import staleness

Make = Callable[..., dict[str, Any]]
AS_OF = "2026-01-02T03:04:05Z"
FRESH = {"token": "t", "as_of": AS_OF, "lag_events": 3, "lag_seconds": 0.4, "alive": True, "state": "running"}
DEAD = FRESH | {"lag_events": 1234, "lag_seconds": 41.2, "alive": False, "state": "dead"}
DEAD_SAID = f"as of {AS_OF}, 41 s behind, 1,234 events missing; no projector runs"


@pytest.mark.parametrize(
    ("freshness", "said"),
    [
        ({}, ""),
        (FRESH, ""),
        (DEAD, DEAD_SAID),
        (FRESH | {"lag_seconds": 9.0}, f"as of {AS_OF}, 9 s behind, 3 events missing"),
        (FRESH | {"alive": False}, f"as of {AS_OF}, 0 s behind, 3 events missing; no projector runs"),
        (
            {"as_of": None, "lag_events": 0, "lag_seconds": None, "alive": False},
            "as of an unknown time; no projector runs",
        ),
    ],
)
def test_what_is_said_of_freshness(freshness: dict[str, Any], said: str) -> None:
    assert staleness(freshness) == said


def table(job: dict[str, Any], freshness: dict[str, Any]) -> httpx.Response:
    page = {"jobs": [job], "job": job, "total_text": "1", "partial": False, "next": None}
    timeline = {"events": [], "total": 0, "total_exact": True}
    return httpx.Response(200, json=page | timeline | {"freshness": freshness})


@pytest.mark.parametrize("command", [["list"], ["show", "job-1"], ["watch", "job-1"]], ids=lambda words: words[0])
@pytest.mark.parametrize(("freshness", "said"), [(FRESH, ""), (DEAD, DEAD_SAID + "\n")], ids=["fresh", "dead"])
def test_every_command_that_reads_tells_it_on_standard_error(
    api: Any, run: Any, job: Make, command: list[str], freshness: dict[str, Any], said: str
) -> None:
    api(lambda _: table(job(), freshness))
    ended = run("jobs", *command)
    assert (ended.code, ended.err) == (0, said)
    assert "COMPLETED" in ended.out


def test_a_job_may_be_unknown_because_the_table_is_old(api: Any, run: Any) -> None:
    api(lambda _: httpx.Response(404, json={"detail": "the table knows no job 'job-1'", "freshness": DEAD}))
    ended = run("jobs", "show", "job-1")
    assert (ended.code, ended.err) == (1, f"{DEAD_SAID}\nthe table knows no job 'job-1'\n")


def test_a_watched_job_stands_still_for_a_reason(api: Any, run: Any, job: Make) -> None:
    api(lambda _: table(job(), DEAD))
    assert "no projector runs" in run("jobs", "watch", "job-1").out
