"""Servers that are away or hang, full disks, terminals without Unicode: each ends a command with one sentence."""

import errno
import sys
from collections.abc import Callable, Generator
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import pytest

from jobtrail import kafka_tool
from jobtrail.home import Home, Running
from jobtrail.system import services
from local_stack import free_port
from service_kit import database

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def silent() -> Generator[int, None, None]:
    """A port that takes connections and says nothing."""
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "address", ["foo", "postgresql://postgres@127.0.0.1:{free}/x", "postgresql://127.0.0.1:{silent}"]
)
def test_a_postgres_that_is_away_or_hangs(run: Any, monkeypatch: pytest.MonkeyPatch, silent: int, address: str) -> None:
    monkeypatch.setitem(database._WATCHED, "connect_timeout", 2)
    monkeypatch.setenv("DATABASE_URL", address.format(free=free_port(), silent=silent))
    monkeypatch.setenv("JOBTRAIL_SECRET_KEY", "unused")
    ended = run("accounts", "list")
    assert ended.code == 1
    assert ended.err.startswith("PostgreSQL: ") and ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["topics", "--list"], True),
        (["kafka-topics.sh", "--list"], True),
        (["topics", "--help"], False),
        (["dump-log", "--files", "x"], False),
        (["topics", "--list", "--bootstrap-server", "elsewhere:9092"], False),
    ],
)
def test_a_broker_that_is_away_is_reported(
    run: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], asked: bool
) -> None:
    servers = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    monkeypatch.setattr(kafka_tool, "BROKER_SECONDS", 1.0)
    monkeypatch.setattr(kafka_tool, "run_kafka_tool", lambda *_: 0)
    ended = run("kafka", *arguments)
    assert (ended.code, ended.err) == ((1, f"Kafka at {servers} does not answer; is it up?\n") if asked else (0, ""))


@pytest.mark.parametrize("option", ["--api-port", "--sandbox-port", "--kafka-port", "--postgres-port"])
@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_an_invalid_port_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch, option: str, port: str) -> None:
    monkeypatch.setattr("jobtrail.up.run_up", lambda *_: None)
    monkeypatch.setattr("jobtrail.demo.command.run_demo", lambda *_: 0)
    for command in ("up", "demo"):
        ended = run(command, option, port)
        assert ended.code == 2 and option in ended.err


def test_characters_that_a_terminal_does_not_have_are_replaced(
    api: Any, run: Any, job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    api(
        lambda _: httpx.Response(
            200, json={"jobs": [job(account="Đà")], "total_text": "1", "partial": False, "next": ""}
        )
    )
    said = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(said, "latin-1"))
    assert run("jobs", "list").code == 0
    assert "?à" in said.getvalue().decode("latin-1")


def test_a_full_disk_is_reported_once(api: Any, run: Any, job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    api(lambda _: httpx.Response(200, json={"jobs": [job()], "total_text": "1", "partial": False, "next": ""}))
    full = Full()
    monkeypatch.setattr(sys, "stdout", full)
    ended = run("jobs", "list")
    assert (ended.code, ended.err) == (1, "[Errno 28] No space left on device\n")
    assert sys.stdout is not full


def test_the_output_of_services_does_not_depend_on_the_terminal(tmp_path: Path) -> None:
    for service in services(Running(api="a:1", sandbox="s:2", kafka="k", database="d"), Home(tmp_path)):
        assert service.env["PYTHONIOENCODING"] == "utf-8"
