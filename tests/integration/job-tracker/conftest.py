"""Streams of events, an oracle that shares no code with the fold, and projectors to run them through."""

import json
import os
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.api_answers import answers
from tests.checked_producer import CheckedProducer
from tests.tracker_actions import send_invalid_records

from job_events.topics import Topics
from job_tracker import bootstrap
from job_tracker.log.records import Record
from job_tracker.projector.batch import Batch, Projection
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.settings import Settings
from job_tracker.store.postgres import connect
from local_stack import free_port
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate
from service_kit.kafka_admin import create_topics

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """A time whose text sorts as the time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Stream:
    """Raw events of random jobs, as JSON objects: nothing of the package under test makes them."""

    start = START

    def __init__(self, seed: int, tenant: str = "demo") -> None:
        self.tenant = tenant
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.run = uuid.uuid4().hex[:6]

    def envelope(self, kind: str, job: str, event_id: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": kind,
            "specversion": "1.0",
            "id": event_id,
            "source": "jobtrail/test/1",
            "subject": job,
            "time": stamp(at),
            "tenant": self.tenant,
            "correlationid": f"chain-{job}",
            "data": data,
        }

    def job(self, number: int, attempts: int = 2, progresses: int = 4, finished: bool = True) -> list[dict[str, Any]]:
        """The events of one job, in order."""
        chance = self.random
        job = f"job-{self.run}-{number}"
        info = {"type": chance.choice(["PULL_NHANH_PRODUCTS", "PRODUCT_SYNC"]), "account": f"shop-{number % 3}"}
        at = START + timedelta(minutes=number, microseconds=chance.randrange(1_000_000))
        asked = {"params": {"size": number}, "priority": "high", "requested_by": "Bình"}
        request_id = f"{job}/request"
        events = [self.envelope("job.requested.v1", job, request_id, at, {"job": info, **asked})]
        sequence = 0
        for attempt in range(attempts):
            at += timedelta(seconds=chance.randrange(1, 50))
            sequence += 1
            copy = asked | {"id": request_id, "time": events[0]["time"]}
            data = {"job": info, "attempt": attempt, "seq": sequence, "request": copy, "worker": f"w{attempt}"}
            events.append(self.envelope("job.started.v1", job, f"{job}/{attempt}/{sequence}", at, data))
            done = 0
            for _ in range(progresses):
                at += timedelta(milliseconds=chance.randrange(1, 5000))
                sequence += 1
                done += chance.randrange(50)
                counters = {"total": 500, "processed": done, "successful": done, "failed": 0, "skipped": 0}
                data = {
                    "job": info,
                    "attempt": attempt,
                    "seq": sequence,
                    "phase": chance.choice(["reading", "writing"]),
                    "counters": counters,
                    "metadata": {"speed": chance.random(), "từ": "Hà Nội"},
                }
                events.append(self.envelope("job.progress.v1", job, f"{job}/{attempt}/{sequence}", at, data))
        if finished:
            outcome = chance.choice(["success", "partial", "failure", "error", "timeout", "cancelled", "skipped"])
            counters = {"total": 500, "processed": 500, "successful": 490, "failed": 4, "skipped": 6}
            data = {
                "job": info,
                "attempt": attempts - 1,
                "seq": sequence + 1,
                "outcome": outcome,
                "counters": counters,
                "metadata": {},
                "error": {"category": "TIMEOUT", "code": "504", "message": "gone"} if outcome == "timeout" else None,
                "duration_ms": chance.randrange(100_000),
                "then": [],
            }
            events.append(self.envelope("job.finished.v1", job, f"{job}/end", at + timedelta(seconds=1), data))
        return events

    def jobs(self, count: int) -> list[dict[str, Any]]:
        chance = self.random
        return [
            event
            for number in range(count)
            for event in self.job(number, chance.randrange(1, 4), chance.randrange(6), chance.random() < 0.7)
        ]

    def shaken(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All of them, some several times, some lost, in any order."""
        chosen = [event for event in events if self.random.random() < 0.9]
        chosen += self.random.choices(chosen, k=len(chosen) // 3)
        self.random.shuffle(chosen)
        return chosen


STATUS = {
    "success": "COMPLETED",
    "partial": "MIXED",
    "failure": "FAILED",
    "error": "FAILED",
    "timeout": "FAILED",
    "cancelled": "CANCELLED",
    "skipped": "CANCELLED",
}


def oracle(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What people should read of each job, by sorting raw JSON: no register, no merge, no code of the fold.

    Ties between different events of one key are not made by `Stream`, so keys alone decide here.
    """
    by_job: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_job.setdefault(event["subject"], []).append(event)
    rows: dict[str, dict[str, Any]] = {}
    for job, found in by_job.items():
        requests = sorted(
            [(e["time"], e["id"], e["data"]) for e in found if e["type"] == "job.requested.v1"]
            + [
                (e["data"]["request"]["time"], e["data"]["request"]["id"], e["data"]["request"])
                for e in found
                if e["type"] == "job.started.v1"
            ],
            key=lambda asked: asked[:2],
        )

        def last(kind: str, found: list[dict[str, Any]] = found) -> dict[str, Any] | None:
            several = [e for e in found if e["type"] == kind]
            return max(several, key=lambda e: (e["data"]["attempt"], e["data"]["seq"])) if several else None

        start, progress, end = last("job.started.v1"), last("job.progress.v1"), last("job.finished.v1")
        counters = (end or progress or {"data": {"counters": {}}})["data"]["counters"]
        known = [e for e in (start, progress, end) if e]
        times = [asked[0] for asked in requests[:1]] + [e["time"] for e in known]
        any_event = found[0]
        rows[job] = {
            "tenant": any_event["tenant"],
            "account": any_event["data"]["job"]["account"],
            "job_type": any_event["data"]["job"]["type"],
            "chain": any_event["correlationid"],
            "state": "finished" if end else "running" if known else "queued",
            "outcome": end["data"]["outcome"] if end else None,
            "status": STATUS[end["data"]["outcome"]] if end else "RUNNING" if known else "PENDING",
            "attempt": max([e["data"]["attempt"] for e in known], default=0),
            "total": counters.get("total"),
            "processed": counters.get("processed", 0),
            "successful": counters.get("successful", 0),
            "failed": counters.get("failed", 0),
            "skipped": counters.get("skipped", 0),
            "requested_at": requests[0][0] if requests else None,
            "updated_at": max(times),
            "phase": progress["data"]["phase"] if progress else None,
            "metadata": progress["data"]["metadata"] if progress else None,
            "worker": start["data"]["worker"] if start else None,
            "duration_ms": end["data"]["duration_ms"] if end else None,
        }
    return rows


_SHOWN = """
SELECT job_id, tenant, account, job_type, chain, state, outcome, status, attempt, total, processed, successful, failed,
       skipped, requested_at, updated_at, p_phase, p_body, s_worker, e_duration_ms
FROM tracker.job
"""


def shown(connection: psycopg.Connection[Any]) -> dict[str, dict[str, Any]]:
    """The table in the oracle's words."""
    names = [
        *("tenant", "account", "job_type", "chain", "state", "outcome", "status", "attempt", "total", "processed"),
        *("successful", "failed", "skipped", "requested_at", "updated_at", "phase", "metadata", "worker"),
        "duration_ms",
    ]
    rows: dict[str, dict[str, Any]] = {}
    for job_id, *values in connection.execute(_SHOWN):
        row = dict(zip(names, values, strict=True))
        row["requested_at"] = stamp(row["requested_at"]) if row["requested_at"] else None
        row["updated_at"] = stamp(row["updated_at"])
        row["metadata"] = json.loads(row["metadata"])["metadata"] if row["metadata"] else None
        rows[job_id] = row
    return rows


class System:
    """One prefix of topics, one database, and as many projectors as a test wants."""

    def __init__(self, kafka: str, database_url: str, topics: Topics) -> None:
        self.kafka, self.database_url, self.topics = kafka, database_url, topics
        self.settings = Settings(
            kafka_bootstrap_servers=kafka,
            database_url=database_url,
            jobtrail_topic_prefix=topics.prefix,
            jobtrail_batch_events=200,
        )
        self.environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "DATABASE_URL": database_url,
            "JOBTRAIL_TOPIC_PREFIX": topics.prefix,
            "JOBTRAIL_BATCH_EVENTS": "200",
        }
        self._producer = CheckedProducer(kafka)
        self._threads = ThreadPoolExecutor(8)
        self._stops: list[threading.Event] = []
        self._running: list[Future[None]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def send(self, events: list[dict[str, Any]], topic: str | None = None) -> None:
        for event in events:
            self.send_raw(json.dumps(event).encode(), topic, event["subject"].encode())
        self.flush()

    def send_raw(self, value: bytes | None, topic: str | None = None, key: bytes | None = None, **more: Any) -> None:
        self._producer.produce(topic or self.topics.events, value, key, **more)

    def flush(self) -> None:
        self._producer.flush()

    def projector(self, name: str = "a", part: str = "jobs", **changes: Any) -> threading.Event:
        """Run one in a thread of this process; set the event to end it."""
        stop = threading.Event()
        settings = self.settings.model_copy(update=changes)
        run = bootstrap.run_jobs_projector if part == "jobs" else bootstrap.run_items_projector
        self._running.append(self._threads.submit(run, settings, stop, f"test:{name}"))
        self._stops.append(stop)
        return stop

    def end_all(self) -> None:
        """End all projectors of this process and wait for them."""
        for stop in self._stops:
            stop.set()
        for running in self._running:
            running.result(60)

    def keep(self, projection: Projection[Any]) -> None:
        """Keep a projection of the test's own until the test ends."""
        stop = threading.Event()
        self._running.append(self._threads.submit(bootstrap.run_projector, self.settings, projection, stop))
        self._stops.append(stop)

    def process(self, part: str, log: Path, before: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Run a part of the tracker as the process that people start; `before` is a statement that it runs first."""
        code = f"{before}\nimport sys\nfrom job_tracker.__main__ import main\nsys.exit(main())"
        how = ["-c", code] if before else ["-m", "job_tracker"]
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, *how, part], env=self.environment | environment, stderr=out, stdout=out
            )
        self._processes.append(process)
        return process

    @staticmethod
    def count(connection: psycopg.Connection[Any], table: str) -> int:
        """Rows of a table of the tracker; -1 before the first migration."""
        try:
            found = connection.execute(f"SELECT count(*) FROM tracker.{table}").fetchone()
        except psycopg.errors.UndefinedTable:
            return -1
        assert found
        return found[0]

    def end_projectors(self) -> None:
        for stop in self._stops:
            stop.set()
        for running in self._running:
            running.result(120)
        self._stops, self._running = [], []

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(120)
        self.end_projectors()
        self._threads.shutdown()


@pytest.fixture(scope="session")
def schemas() -> tuple[str, ...]:
    return ("tracker",)


@pytest.fixture
def system(kafka: str, database_url: str, topics: Topics) -> Iterator[System]:
    made = System(kafka, database_url, topics)
    yield made
    made.close()


@pytest.fixture
def table(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The job projection's tables, empty, on a connection that may write them."""
    migrate(database_url, "tracker", ["job_tracker.store"])
    with connect(database_url) as connection:
        connection.execute(JobsProjection.session)
        yield connection


@pytest.fixture
def apply(table: psycopg.Connection[Any]) -> Callable[[list[Record]], None]:
    """Writes good records into `table` as one batch."""
    projection = JobsProjection(Topics())

    def write(records: list[Record]) -> None:
        batch = Batch(projection, records)
        assert batch.dead == []
        batch.pack()
        with table.transaction(), table.cursor() as cursor:
            projection.write(cursor, batch.content)

    return write


@pytest.fixture
def live(system: Any, connection: Any, stream: Any, wait_until: Any) -> list[dict[str, Any]]:
    """A table of a shuffled, doubled, partly poisoned stream, and its projector at work."""
    events = stream.shaken(stream.jobs(60))
    system.send(events[: len(events) // 2])
    bad = send_invalid_records(system)
    system.send(events[len(events) // 2 :])
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "the log was not read")
    wait_until(lambda: system.count(connection, "dead_letter") == bad, "the poison was not read")
    return events


@pytest.fixture
def start_api(system: Any, wait_until: Any, tmp_path: Path) -> Callable[..., tuple[str, Any]]:
    """Starts an API; its address and process."""

    def start(**environment: str) -> tuple[str, Any]:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = system.process("api", tmp_path / f"api-{port}", JOBTRAIL_API_PORT=str(port), **environment)

        wait_until(lambda: answers(f"{url}/healthz"), f"no API at {url}")
        return url, process

    return start


@pytest.fixture(scope="module")
def shared_system(kafka: str, fresh_database: Any, schemas: tuple[str, ...]) -> Iterator[System]:
    """A system for a whole module, where starting one for each test would take too long."""
    topics = Topics(f"t{uuid.uuid4().hex[:12]}.")
    create_topics(kafka, topics)
    with fresh_database(schemas) as url:
        made = System(kafka, url, topics)
        yield made
        made.close()


@pytest.fixture(scope="module")
def shared_connection(shared_system: System) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(shared_system.database_url, autocommit=True, options="-c timezone=UTC") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_api(
    shared_system: System, wait_until: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """An API and both projectors of `shared_system`, ready."""
    migrate_accounts(shared_system.database_url)
    port = free_port()
    shared_system.process("api", tmp_path_factory.mktemp("api") / "log", JOBTRAIL_API_PORT=str(port))
    shared_system.projector()
    shared_system.projector(part="items")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        wait_until(lambda: answers(f"{client.base_url}/readyz"), "the API does not become ready")
        yield client


@pytest.fixture
def shop(shared_api: httpx.Client, shared_connection: psycopg.Connection[Any]) -> dict[str, str]:
    """A tenant of a test's own in `shared_system`, with an account."""
    assert shared_api
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    shared_connection.execute("INSERT INTO accounts.account (tenant, account) VALUES (%s, 'demo-shop')", [name])
    return {"tenant": name, "account": "demo-shop"}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as opened:
        yield opened


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(seed=sum(request.node.name.encode()))


@pytest.fixture(scope="session")
def make_stream() -> type[Stream]:
    return Stream


@pytest.fixture(name="oracle")
def oracle_fixture() -> Callable[[list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    return oracle


@pytest.fixture(name="shown")
def shown_fixture() -> Callable[[psycopg.Connection[Any]], dict[str, dict[str, Any]]]:
    return shown
