"""Whatever the tracker's address answers, a command ends with what it shows or with one sentence: never a traceback."""

import copy
import http.server
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import httpx
import pytest
from tests.http_server import running_server

from jobtrail import jobs, matches, queues, schedules, terminal

Json = dict[str, Any]
JOB: Json = {
    "job_id": "job-1",
    "type": "PRODUCT_SYNC",
    "tenant": "default",
    "account": "lan-shop",
    "status": "RUNNING",
    "state": "finished",
    "outcome": "partial",
    "health": "ok",
    "phase": "writing",
    "error": {"category": "CONFLICT", "message": "no"},
    "error_category": "CONFLICT",
    "error_code": "ITEMS_HELD",
    "held": 3,
    "params": {"size": 1},
    "metadata": {"created": 3, "planToken": "token"},
    "counters": {"total": 9, "processed": 9, "failed": 1, "skipped": 0},
    "created_at": "2026-01-02T03:04:05Z",
    "duration_ms": 1200,
    "eta_seconds": 30,
}
HOLD = {"kind": "account", "tenant": "demo", "account": "shop", "requested_by": "lan", "since": "now", "reason": "x"}
QUEUE = {"service": "puller", "available": True, "queued": 1, "running": 2, "paused": 3, "holds": [HOLD]}
BY_TYPE = {"job_type": "PRODUCT_SYNC", "status": "MIXED", "jobs": 1, "processed": 9, "failed": 1, "skipped": 0}
CHANGE = {"name": "price", "before": "1", "after": None}
ITEM = {"item": "1", "action": "updated", "changes": [CHANGE], "error": JOB["error"], "ids": {"nhanh": "1"}}
FRESH = {"as_of": "2026-01-02T03:04:05Z", "lag_events": 3, "lag_seconds": 41.0, "alive": False}
EVENT = {"time": "2026-01-02T03:04:05Z", "type": "job.progress.v1", "verdict": "applied", "attempt": 1, "seq": 2}
RECORD = {"title": "Cà phê", "sku": "CF"}
MATCH = {"platform": "shopify", "hub_id": "1", "remote_id": "2", "status": "review", "method": "name", "score": 0.5}
PAGE: Json = {"total_text": "1", "total": 1, "total_exact": True, "partial": False, "scanned_to": None, "next": None}
JOBS = PAGE | {"jobs": [JOB], "freshness": FRESH}
ONE = {"job": JOB, "freshness": FRESH}
MADE = {"job_id": "job-2"}
ABOUT = RECORD | {"note": "n", "linked_by": "sku"}
RUN: Json = {"account": "a", "planned_at": "2026-01-02T03:04:05Z", "state": "skipped", "reason": "x"}
RUN["jobs"] = [{"job_id": "job-1", "type": "PRODUCT_SYNC", "status": "MIXED"}]
SCHEDULE = {
    "schedule_id": "s-1",
    "tenant": "demo",
    "account": None,
    "type": None,
    "chain": "sales",
    "words": "Every hour",
}
SCHEDULE |= {"paused": False, "paused_reason": "x", "catch_up": "one", "next_runs": ["2026-01-02T03:04:05+07:00"]}
SCHEDULES: Json = {"schedule": SCHEDULE, "runs": [RUN], "scheduler": {"alive": False}, "freshness": FRESH}
ADD = ["schedules", "add", "sales", "--account", "a", "--every", "1h"]
COMMANDS: list[tuple[list[str], Json]] = [
    (["schedules", "list"], PAGE | {"schedules": [SCHEDULE], "scheduler": {"alive": False}}),
    (["schedules", "show", "s-1"], SCHEDULES),
    (ADD, SCHEDULES),
    (["jobs", "list"], JOBS),
    (["jobs", "show", "job-1"], ONE | PAGE | {"events": [EVENT]}),
    (["jobs", "items", "job-1"], PAGE | {"items": [ITEM | {"held": "half", "about": ABOUT}]}),
    (["jobs", "watch", "job-1"], ONE),
    (["jobs", "start", "PRODUCT_SYNC", "--account", "a"], MADE),
    (["jobs", "confirm", "job-1"], ONE | MADE),
    (["jobs", "revert", "job-1"], ONE | MADE),
    (["jobs", "retry", "job-1"], MADE),
    (["jobs", "delete", "--older-than", "1d", "--yes"], PAGE | {"deleted": 3, "checked": 5}),
    (["matches", "list"], PAGE | {"matches": [MATCH | {"reason": "names", "hub": RECORD, "remote": RECORD}]}),
    (["queues", "list"], {"queues": [QUEUE | {"oldest_waiting_seconds": 3.5}]}),
    (["stats"], {"jobs": 1, "by_status": {"MIXED": 1}, "by_type": [BY_TYPE], "success_rate": 0.5}),
]
ODD: list[Any] = [
    *(None, True, "", "x\x1b[2J\x07\r\u202e\ud800", "🐈" * 99 + "[/b]", 10**30, 2**63, -1),
    *(1e308, float("nan"), float("inf"), [], {}, [None], {"a": {"b": []}}, "9999-99-99", "0001-01-01T00:00:00"),
]
GONE = object()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every member of an answer, by its path."""
    members: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield (*path, name)
        yield from places(inner, (*path, name))


def changed(answer: Json, path: tuple[Any, ...], value: Any) -> Json:
    made = copy.deepcopy(answer)
    inner: Any = made
    for name in path[:-1]:
        inner = inner[name]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


def is_said(ended: Any, what: object) -> None:
    """It ended with a status of its own, and what it says of a fault is a sentence, not a fault of the command."""
    assert ended.code in (None, 0, 1), (what, ended)
    assert "unexpectedly" not in ended.err and "Traceback" not in ended.out + ended.err, (what, ended)
    assert ended.out or ended.err
    assert not set(ended.out + ended.err) & {"\x1b", "\x07", "\r"}, (what, ended)


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("command", "whole"), COMMANDS, ids=lambda one: "-".join(one) if isinstance(one, list) else "")
def test_any_field_may_be_missing_or_odd(api: Any, run: Any, command: list[str], whole: Json, step: int) -> None:
    api(lambda _: httpx.Response(200, json=whole))
    assert run(*command).code in (None, 0)
    for path, odd in list(product(places(whole), (GONE, *ODD)))[::step]:
        # As others write JSON: with what is none, such as NaN, and halves of surrogate pairs.
        body = json.dumps(changed(whole, path, odd)).encode()
        api(lambda _, body=body: httpx.Response(200, content=body, headers={"content-type": "application/json"}))
        is_said(run(*command), (path, odd))


BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"<html><body>502 Bad Gateway</body></html>",
    b"[" * 100_000,
    b'{"job":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"total": ' + b"9" * 5000 + b"}",
    json.dumps({"detail": "x" * 1_000_000, "errors": "no list"}).encode(),
    json.dumps({"title": ["no", "text"], "errors": [{"field": 1}]}).encode(),
    json.dumps({"detail": "\x1b[2J\x07"}).encode(),
]


@pytest.mark.parametrize("status", [200, 202, 204, 302, 400, 404, 422, 500, 502, 503])
@pytest.mark.parametrize(
    "command",
    [
        ["jobs", "list"],
        ["jobs", "show", "job-1"],
        ["jobs", "cancel", "job-1"],
        ["jobs", "delete", "job-1"],
        ["accounts", "pause", "lan-shop"],
        ["queues", "list"],
        ["queues", "resume", "puller"],
        ["schedules", "list"],
        ["schedules", "delete", "s-1"],
        ["stats"],
    ],
    ids="-".join,
)
def test_any_status_with_any_body(api: Any, run: Any, command: list[str], status: int) -> None:
    for body in BODIES:
        api(lambda _, body=body: httpx.Response(status, content=body))
        ended = run(*command)
        is_said(ended, body[:80])
        assert len(ended.err) < 3000
        if status >= 300:
            assert (ended.code, ended.err.count("\n")) == (1, 1)


def cut(answer: bytes) -> type[http.server.BaseHTTPRequestHandler]:
    """A server whose connection ends in the middle of its answer."""

    class Cut(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Cut


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
        b"nothing of the kind\r\n\r\n",
    ],
)
def test_a_connection_that_is_cut(run: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with running_server(cut(answer)) as address:
        monkeypatch.setenv("JOBTRAIL_API", address)
        ended = run("jobs", "list")
    assert ended.code == 1
    assert ended.err.startswith(f"The tracker at {address} does not answer (") and ended.err.count("\n") == 1


class Many(http.server.BaseHTTPRequestHandler):
    """A tracker with a thousand jobs of letters that not every terminal has."""

    def do_GET(self) -> None:
        made = [JOB | {"job_id": f"job-{n}", "account": "Đà Nẵng", "state": "running"} for n in range(1000)]
        body = json.dumps(JOBS | {"jobs": made}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shell() -> Iterator[Callable[..., subprocess.CompletedProcess[bytes]]]:
    """Runs the real command in a shell, with a tracker that answers."""
    with running_server(Many) as address:

        def call(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
            command = f"{sys.executable} -c 'from jobtrail.__main__ import run; run()'"
            env = os.environ | {"JOBTRAIL_API": address, "jobtrail": command} | environment
            return subprocess.run(["bash", "-c", line], env=env, capture_output=True, timeout=300, check=False)

        yield call


@pytest.mark.parametrize("command", ["jobs list --limit 1000", "--help"])
def test_a_reader_that_has_enough_ends_a_command_in_silence(shell: Any, command: str) -> None:
    done = shell(f'eval "$jobtrail {command}" | true; echo ${{PIPESTATUS[0]}}')
    assert b"Traceback" not in done.stderr and b"Broken pipe" not in done.stderr and b"ignored" not in done.stderr
    assert int(done.stdout) in {0, 1, 141}


def test_the_first_lines_are_those_of_the_whole(shell: Any) -> None:
    done = shell('set -o pipefail; eval "$jobtrail jobs list --limit 1000" | head -3')
    assert len(done.stdout.splitlines()) == 3
    assert b"Traceback" not in done.stderr and b"Broken pipe" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding(shell: Any, encoding: str) -> None:
    done = shell('eval "$jobtrail jobs list --limit 3"', PYTHONIOENCODING=encoding, TERM="dumb")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr and b"job-1" in done.stdout
    done.stdout.decode(encoding)


@pytest.mark.parametrize("width", [1, 3, 20, 40])
@pytest.mark.parametrize(("command", "whole"), COMMANDS, ids=lambda one: "-".join(one) if isinstance(one, list) else "")
def test_a_terminal_of_any_width(
    *, api: Any, run: Any, monkeypatch: pytest.MonkeyPatch, command: list[str], whole: Json, width: int
) -> None:
    for module in (jobs, matches, queues, schedules):
        monkeypatch.setattr(module.console, "width", width)
    monkeypatch.setattr(terminal, "PIPED_WIDTH", width)
    api(lambda _: httpx.Response(200, json=whole))
    is_said(run(*command), width)


def test_no_colour_where_nobody_wants_one(shell: Any) -> None:
    assert b"\x1b[3" in shell('eval "$jobtrail jobs list --limit 3"', FORCE_COLOR="1", TERM="xterm").stdout
    uncoloured = shell('eval "$jobtrail jobs list --limit 3"', FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").stdout
    assert b"\x1b[3" not in uncoloured and b"job-1" in uncoloured


def test_a_fault_of_the_command_itself_is_a_sentence_too(api: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> httpx.Response:
        raise ZeroDivisionError("division by zero")

    api(broken)
    ended = run("jobs", "list")
    assert (ended.code, ended.out) == (70, "")
    assert ended.err.startswith("The command failed unexpectedly: ZeroDivisionError: division by zero")
    monkeypatch.setenv("JOBTRAIL_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["jobtrail", "jobs", "list"])
    from jobtrail.main import main

    with pytest.raises(ZeroDivisionError):
        main()
