"""What others wrote is shown as it is: no bracket of it is markup, and no pair of colons a picture."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from rich.console import Console

from jobtrail import accounts, check
from jobtrail.demo.view import DemoView
from jobtrail.home import Home
from jobtrail.stack_view import StackView
from jobtrail.tables import Jobs, job_line
from local_stack import StackEvent
from platforms.connections import Connection
from platforms.results import CheckResult

Make = Callable[..., dict[str, Any]]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ODD = ["x[/y]", "lan[shop]", "lan:cat:", "back\\", "[bold]"]


def one_job(job: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    page = {"jobs": [job], "job": job, "total_text": "1", "partial": False, "next": None}
    return lambda _: httpx.Response(200, json=page)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("field", ["job_id", "type", "account", "error_category"])
def test_a_list_shows_names_as_they_are(api: Any, run: Any, job: Make, field: str, name: str) -> None:
    api(one_job(job(**{field: name})))
    ended = run("jobs", "list")
    assert ended.code == 0
    assert name in ended.out


def test_a_status_that_is_news_to_the_command_is_shown(api: Any, run: Any, job: Make) -> None:
    api(one_job(job(status="PAUSED")))
    assert "PAUSED" in run("jobs", "list").out


def test_watch_shows_what_a_platform_answered(api: Any, run: Any, job: Make) -> None:
    message = "GET [/api/products] answered 404"
    api(one_job(job(status="FAILED", outcome="failed", error={"category": "platform", "message": message})))
    ended = run("jobs", "watch", "job-1")
    assert ended.code == 1
    assert message in ended.out


def test_a_phase_is_shown_as_it_is(job: Make) -> None:
    line = job_line(job(status="RUNNING", state="running", phase="waiting [/orders] 3 s"))
    assert line.plain == "PRODUCT_PULL RUNNING 0 · waiting [/orders] 3 s"


@pytest.mark.parametrize("name", ODD)
def test_a_refusal_repeats_what_it_refuses(api: Any, run: Any, name: str) -> None:
    api(lambda _: httpx.Response(422, json={"detail": "not valid", "errors": [{"field": "account", "reason": name}]}))
    ended = run("jobs", "start", "products", "--account", name)
    assert ended.code == 1
    assert ended.err == f"not valid (account: {name})\n"


@pytest.mark.parametrize("name", ODD)
def test_ids_are_repeated_as_they_are(api: Any, run: Any, name: str) -> None:
    api(lambda _: httpx.Response(202, json={"job_id": name}))
    assert (
        f"PRODUCT_SYNC {name}  (follow: jobtrail jobs watch {name})"
        in run("jobs", "start", "PRODUCT_SYNC", "--account", "lan-shop").out
    )
    assert run("jobs", "retry", "job-1").out == f"New job {name}  (follow: jobtrail jobs watch {name})\n"


@pytest.mark.parametrize("command", ["show", "watch", "items", "cancel", "pause", "resume", "retry"])
@pytest.mark.parametrize("name", ["", "a/b", "a?b#c", "a\n", "\udcff", "50%", "x" * 129])
def test_an_invalid_job_id_is_refused_without_a_request(api: Any, run: Any, command: str, name: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404, json={"detail": "unknown"})

    api(answer)
    ended = run("jobs", command, name)
    assert (ended.code, asked) == (1, [])
    assert ended.err.startswith(f"{name!r} is not a job id") and ended.err.count("\n") == 1


def test_a_refusal_repeats_nothing(api: Any, run: Any) -> None:
    said = "tenant 'default' has no account 'x'"
    errors = [{"field": "account", "reason": said}, {"field": "type", "reason": "is unknown"}]
    api(lambda _: httpx.Response(422, json={"detail": said, "errors": errors}))
    assert run("jobs", "list").err == f"{said} (type: is unknown)\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_demo_shows_phases_and_types_as_they_are(job: Make, terminal: bool) -> None:
    console = Console(force_terminal=terminal, width=160, record=True, emoji=False)
    with DemoView(console) as view:
        view.show([job(type="[/TYPE]", status="RUNNING", state="running", phase="waiting [/orders] 3 s")])
    assert "[/TYPE]" in console.export_text()


def test_the_stack_shows_folder_names_unchanged() -> None:
    console = Console(width=160, record=True)
    with StackView(console) as view:
        view(StackEvent("start", "kafka", "starting in /tmp/[/x]"))
        view(StackEvent("note", "kafka", "data in /tmp/[/x]\\"))
    assert "data in /tmp/[/x]\\" in console.export_text()


def test_a_table_keeps_the_message_of_an_error(job: Make) -> None:
    console = Console(width=160, record=True)
    console.print(Jobs([job(error={"category": "platform", "message": "GET [/api] answered 404\\"})], NOW))
    assert "platform: GET [/api] answered 404\\" in console.export_text()


@pytest.mark.parametrize("name", ODD)
def test_a_check_shows_the_message_of_a_server(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def down(*_: object, **__: object) -> None:
        raise ValueError(name)

    for ask in ("_postgres", "_kafka", "_api", "_instances"):
        monkeypatch.setattr(check, ask, down)
    for variable in ("JOBTRAIL_API", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
        monkeypatch.setenv(variable, "http://nowhere")
    console = Console(width=160, record=True, emoji=False)
    assert check.check_system(console, Home()) == 1
    assert console.export_text() == "".join(
        f"✘ {part}: {name}\n" for part in ("PostgreSQL", "Kafka", "API", "tracker-scheduler")
    )


@pytest.mark.parametrize("name", ODD)
def test_accounts_are_listed_and_checked_as_they_are(run: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Stored:
        def list_connections(self) -> list[Connection]:
            return [
                Connection("default", name, "nhanh", "https://nhanh.test", {}, status="needs attention", reason=name)
            ]

        def connection(self, *_: str) -> Connection:
            return self.list_connections()[0]

        def mark(self, *_: object) -> None:
            pass

    monkeypatch.setattr(accounts, "account_store", lambda: nullcontext(Stored()))
    monkeypatch.setattr("jobtrail.account_store.check_connection", lambda _: CheckResult(False, name))
    monkeypatch.setattr(accounts, "last_drifts", dict)
    assert run("accounts", "list").out.count(name) == 2
    assert run("accounts", "check", name).out == f"✘ nhanh: {name}\n"


@pytest.mark.parametrize("control", ["\x1b[2J", "\x9b2J", "\x07", "\r"])
def test_text_from_outside_does_not_control_the_terminal(api: Any, run: Any, job: Make, control: str) -> None:
    said = f"{control}gone"
    api(one_job(job(status="FAILED", outcome="failed", error={"category": "platform", "message": said})))
    for ended in (run("jobs", "list"), run("jobs", "watch", "job-1")):
        assert control[0] not in ended.out
        assert "gone" in ended.out
    api(lambda _: httpx.Response(422, json={"detail": said}))
    assert control[0] not in run("jobs", "list").err


@pytest.mark.parametrize("said", ["<html>", "[]", "null", ""])
def test_a_server_that_is_not_a_tracker_is_reported(api: Any, run: Any, said: str) -> None:
    api(lambda _: httpx.Response(200, text=said))
    ended = run("jobs", "list")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "The server at http://tracker.test is not a tracker: it sends no JSON object\n"
