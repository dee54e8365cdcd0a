"""The local stack on real servers: data, restarts, ends. Independent of the shared servers and of Docker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.checked_producer import CheckedProducer

from local_stack import (
    DataDirInUse,
    LocalStack,
    PortTaken,
    ServiceSpec,
    StackEvent,
    StartFailed,
    down,
    kafka_server,
    postgres_server,
    run_kafka_tool,
)
from local_stack.processes import ProcessMark

WaitUntil = Callable[..., None]

# Starts the servers that it is told and a service, tells the ids of their processes and waits.
PARENT = """
import sys, threading
from pathlib import Path
from local_stack import LocalStack, ServiceSpec
with LocalStack(Path(sys.argv[1]), servers=frozenset(sys.argv[2:])) as stack:
    stack.start_services([ServiceSpec("idle", [sys.executable, "-c", "import time; time.sleep(600)"])])
    stack.wait_ready(30)
    print(*[status.pid for status in stack.services()], flush=True)
    threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's servers are not what these tests are about."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jobtrail-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _pid(stack: LocalStack, name: str) -> int:
    (pid,) = [status.pid for status in stack.services() if status.name == name and status.pid]
    return pid


def _make_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(120)


def _consume(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "group.protocol": "consumer",
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes | None] = []
    deadline = time.monotonic() + 120
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in consumer.consume(count, 1) if not message.error()]
    consumer.close()
    return values


def _rows(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select id from kept order by id").fetchall()


def _answers(url: str) -> bool:
    try:
        _rows(url)
    except psycopg.OperationalError:
        return False
    return True


def _all_ended(marks: list[ProcessMark | None]) -> bool:
    return not any(mark and mark.process() for mark in marks)


def _tells_its_servers_from_others(stack: LocalStack, folder: Path) -> None:
    """Of two that took one port the second fails, and the other's answers must not pass for its own."""
    never, other = threading.Event(), folder / "other"
    kafka_port = int(stack.bootstrap_servers.rpartition(":")[2])
    ours = kafka_server.KafkaNode(1, folder / "kafka", kafka_port, controller_port=1)
    assert kafka_server.answers([ours], never, 60)
    assert not kafka_server.answers([replace(ours, folder=other)], never, 2)
    port = urlsplit(stack.database_url).port
    assert port is not None
    with psycopg.connect(stack.database_url) as connection:
        ((data,),) = connection.execute("show data_directory").fetchall()
    assert postgres_server.answers(port, Path(data), never, 60)
    assert not postgres_server.answers(port, other, never, 2)


@pytest.mark.long
def test_servers_keep_their_data_through_kills_and_restarts(
    folder: Path, wait_until: WaitUntil, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[StackEvent] = []
    with LocalStack(folder, report=events.append) as stack:
        assert {event.kind for event in events} >= {"format", "start", "ready"}
        _make_topic(stack.bootstrap_servers, "kept")
        CheckedProducer(stack.bootstrap_servers).send("kept", b"one")
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("create table kept (id int)")
            connection.execute("insert into kept values (1)")

        assert run_kafka_tool(["topics", "--list"], stack.bootstrap_servers) == 0
        assert "kept" in capfd.readouterr().out.split()
        with pytest.raises(DataDirInUse, match=f"{folder}.* in use by process {os.getpid()}"):
            LocalStack(folder).__enter__()

        kafka, postgres = _pid(stack, "kafka"), _pid(stack, "postgres")
        os.kill(kafka, signal.SIGKILL)
        os.kill(postgres, signal.SIGKILL)
        wait_until(lambda: _answers(stack.database_url), message="PostgreSQL is back on its port")
        assert _rows(stack.database_url) == [(1,)]
        CheckedProducer(stack.bootstrap_servers).send("kept", b"two")
        assert _consume(stack.bootstrap_servers, "kept", 2) == [b"one", b"two"]
        assert _pid(stack, "kafka") != kafka
        assert _pid(stack, "postgres") != postgres
        assert {status.name: status.restarts for status in stack.services()} == {"kafka": 1, "postgres": 1}
        assert {event.service for event in events if event.kind == "restarted"} == {"kafka", "postgres"}

    formats = sum(event.kind == "format" for event in events)
    with LocalStack(folder, report=events.append) as stack:
        assert _rows(stack.database_url) == [(1,)]
        assert _consume(stack.bootstrap_servers, "kept", 2) == [b"one", b"two"]
        _tells_its_servers_from_others(stack, folder)
    assert sum(event.kind == "format" for event in events) == formats


def test_services_are_restarted_stopped_and_their_logs_kept(folder: Path, wait_until: WaitUntil) -> None:
    code = "import os, time; print('hello', os.environ['WHO'], flush=True); time.sleep(600)"
    argv, env = [sys.executable, "-c", code], {"WHO": '50% "you"'}
    specs = [ServiceSpec("worker-1", argv, env), ServiceSpec("worker-2", argv, env)]
    events: list[StackEvent] = []
    with LocalStack(folder, servers=frozenset(), report=events.append) as stack:
        stack.start_services(specs)
        stack.wait_ready(30)
        first = _pid(stack, "worker-1")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: {s.name: s.restarts for s in stack.services()} == {"worker-1": 1, "worker-2": 0})
        assert _pid(stack, "worker-1") != first
        assert [event.service for event in events if event.kind == "restarted"] == ["worker-1"]
        log = folder / "logs" / "worker-2.log"
        wait_until(lambda: log.exists() and 'hello 50% "you"' in log.read_text())
        pids = [status.pid for status in stack.services() if status.pid]
        stack.stop_services()
        assert stack.services() == []
        assert not any(psutil.pid_exists(pid) for pid in pids)
        stack.start_services(specs)
        stack.wait_ready(30)


def test_a_service_that_never_gets_ready_is_named_with_the_end_of_its_log(folder: Path) -> None:
    def never() -> bool:
        return False

    with LocalStack(folder, servers=frozenset()) as stack:
        stack.start_services(
            [ServiceSpec("broken", [sys.executable, "-c", "raise SystemExit('no such shop')"], ready=never)]
        )
        with pytest.raises(StartFailed, match=r"broken(.|\n)*no such shop"):
            stack.wait_ready(2)
        with pytest.raises(StartFailed, match=r"broken ends after every start(.|\n)*no such shop"):
            stack.wait_ready(600)


def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    with LocalStack(folder, servers=frozenset({"postgres"})) as stack:
        port = int(stack.database_url.rsplit(":", 1)[1].split("/")[0])
        other = folder / "other"
        with pytest.raises(PortTaken, match=f"Port {port} for PostgreSQL is taken"):
            LocalStack(other, postgres_port=port, servers=frozenset({"postgres"})).__enter__()
        assert not (other / "postgres").exists()


@pytest.mark.parametrize(
    "how", ["kill", *(pytest.param(how, marks=pytest.mark.long) for how in ("term", "int", "ints", "down"))]
)
def test_nothing_outlives_its_parent(folder: Path, wait_until: WaitUntil, how: str) -> None:
    # Servers make it slow, and a clean end of theirs is in each test here.
    servers = ["kafka", "postgres"] if how == "kill" else []
    argv = [sys.executable, "-c", PARENT, str(folder), *servers]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == len(servers) + 1
        children = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
        assert set(pids) < {parent.pid, *children}
        family = [ProcessMark.of(pid) for pid in (parent.pid, *children)]
        if how == "down":
            (sentence,) = down(folder)
            assert f"Ended process {parent.pid}" in sentence
            assert down(folder) == []
        elif how == "ints":  # somebody who presses Ctrl-C again and again
            while parent.poll() is None:
                parent.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    parent.wait(0.1)
        else:
            parent.send_signal({"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}[how])
            parent.wait(120)
            if how == "term":
                assert parent.returncode == 128 + signal.SIGTERM
        if how != "kill":
            assert _all_ended(family)
        wait_until(lambda: _all_ended(family), message="all ended")


def test_external_servers_are_used_and_not_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/jobs")
    with LocalStack(folder) as stack:
        assert (stack.bootstrap_servers, stack.database_url) == ("broker.example:9092", "postgresql://db.example/jobs")
        assert stack.services() == []


@pytest.mark.long
def test_a_restart_after_a_crash_of_everything_finds_its_data(folder: Path) -> None:
    with LocalStack(folder, servers=frozenset({"postgres"})) as stack:
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("create table kept (id int)")
        server = psutil.Process(_pid(stack, "postgres"))
        lock = next((folder / "postgres").rglob("postmaster.pid"))
        stale = lock.read_text()
    assert not server.is_running()
    # As after a power cut, with a pid that is another program's by now.
    lock.write_text(stale.replace(str(server.pid), str(os.getpid()), 1))
    os.chown(lock, *(lock.parent.stat().st_uid, lock.parent.stat().st_gid))
    with LocalStack(folder, servers=frozenset({"postgres"})) as stack:
        assert _rows(stack.database_url) == []
