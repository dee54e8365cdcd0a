"""Schedules in a real PostgreSQL, schedulers whose clock a test sets, and the requests that they sent to Kafka."""

import json
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from job_events.topics import SERVICES
from job_tracker.scheduler.loop import Scheduler
from job_tracker.scheduler.timing import Timing, read_timing
from job_tracker.store.postgres import RetryingConnection
from job_tracker.store.status import Status
from platforms.migrate import migrate as migrate_accounts
from service_kit import kafka as clients
from service_kit.database import migrate
from service_kit.sql_files import queries

INSERT = queries("job_tracker.store", "schedules.sql")["insert"]
TENANT = "default"
JOB_NAMES = uuid.UUID("8c2b7d0e-6a0f-5b8e-9d51-0d6f6a3c1e27")  # as docs/howto/schedules.md says


def job_id(schedule_id: str, account: str, job_type: str, planned_at: datetime) -> str:
    """The id of a planned job by an own calculation: as the documentation describes it."""
    planned = planned_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = json.dumps([schedule_id, account, job_type, planned], separators=(",", ":"), ensure_ascii=False)
    return str(uuid.uuid5(JOB_NAMES, name))


class Hands:
    """The clock of the schedulers of a test."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return time.monotonic()


class Schedules:
    """The schedules of one test, in its own database, and schedulers that turn when the test says so."""

    def __init__(self, system: Any, connection: psycopg.Connection[Any], now: datetime) -> None:
        self.system, self.connection, self.clock = system, connection, Hands(now)
        self._open: list[RetryingConnection] = []
        self._finished: set[str] = set()
        self.scheduler = self.make_scheduler()

    def make_scheduler(self, kafka: str | None = None) -> Scheduler:
        opened = RetryingConnection(self.system.database_url, Status(time.monotonic), lambda _: False)
        self._open.append(opened)
        return Scheduler(
            connection=opened,
            producer=clients.producer(kafka or self.system.kafka, "test-scheduler", 5000),
            topics=self.system.topics,
            clock=self.clock,
            instance=f"test:{len(self._open)}",
            keep=timedelta(days=90),
            stop=threading.Event(),
        )

    def add_accounts(self, *accounts: str, tenant: str = TENANT) -> None:
        for account in accounts:
            self.connection.execute("INSERT INTO accounts.account (tenant, account) VALUES (%s, %s)", [tenant, account])

    def add(
        self,
        account: str | None = "shop",
        job_type: str | None = "PULL_NHANH_PRODUCTS",
        *,
        cron: str | None = None,
        every: int | None = None,
        zone: str = "UTC",
        chain: str | None = None,
        jitter: int = 0,
        catch_up: str = "one",
        limit: int = 10,
        params: dict[str, Any] | None = None,
        timing: Timing | None = None,
    ) -> str:
        """Add a schedule as of the clock; its id."""
        timing = timing or read_timing(cron, every, zone, self.clock.time)
        schedule_id = str(uuid.uuid4())
        values = {
            "schedule_id": schedule_id,
            "tenant": TENANT,
            "account": account,
            "job_type": None if chain else job_type,
            "chain": chain,
            "params": msgspec.json.encode(params or {}).decode(),
            "cron": timing.cron,
            "every_seconds": timing.every_seconds,
            "timezone": timing.timezone,
            "anchor": timing.anchor,
            "jitter_seconds": jitter,
            "catch_up": catch_up,
            "catch_up_limit": limit,
            "paused": False,
            "paused_reason": "",
            "next_run_at": timing.next_after(self.clock.time),
            "actor": "test",
            "now": self.clock.time,
        }
        self.connection.execute(INSERT, values)
        return schedule_id

    def turn(self, now: datetime | None = None) -> None:
        """One turn of a scheduler, at this time."""
        if now is not None:
            self.clock.time = now
        self.scheduler.turn()
        self.settle()

    def settle(self) -> None:
        """Send again, without a pause, what a slow Kafka has not acknowledged in time."""
        again = "UPDATE tracker.schedule_run SET not_before = %s WHERE state = 'requested'"
        for _ in range(20):
            if self.connection.execute(again, [self.clock.time]).rowcount == 0:
                return
            self.scheduler.turn()
        raise AssertionError("Kafka acknowledges nothing")

    def runs(self, schedule_id: str) -> list[tuple[datetime, str, str]]:
        """Planned time, state and reason of all runs, oldest first."""
        return self.connection.execute(
            "SELECT planned_at, state, reason FROM tracker.schedule_run WHERE schedule_id = %s "
            "ORDER BY planned_at, account",
            [schedule_id],
        ).fetchall()

    def states(self, schedule_id: str) -> list[str]:
        return [state for _, state, _ in self.runs(schedule_id)]

    def next_run(self, schedule_id: str) -> datetime | None:
        found = self.connection.execute(
            "SELECT next_run_at FROM tracker.schedule WHERE schedule_id = %s", [schedule_id]
        ).fetchone()
        assert found is not None
        return found[0]

    def requests(self) -> list[dict[str, Any]]:
        """All events in the request topics, in any order."""
        reader = Consumer({"bootstrap.servers": self.system.kafka, "group.id": "test", "enable.partition.eof": True})
        topics = [self.system.topics.requests(service) for service in SERVICES]
        known = reader.list_topics(timeout=60).topics
        places = [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]
        reader.assign(places)
        found: list[dict[str, Any]] = []
        ended = 0
        while ended < len(places):
            message = reader.poll(60)
            assert message is not None, "Kafka sends nothing"
            if message.error():
                ended += 1
            else:
                found.append(json.loads(message.value() or b""))
        reader.close()
        return found

    def finish(self, wait_until: Any, requests: Iterable[dict[str, Any]] | None = None) -> None:
        """Let all requested jobs end, as a service would; returns when the job table says so."""
        ends = [
            self.end_of(request)
            for request in (self.requests() if requests is None else requests)
            if request["subject"] not in self._finished
        ]
        self._finished |= {end["subject"] for end in ends}
        self.system.send(ends)
        wait_until(lambda: self.finished_jobs() >= self._finished, "the ends were not read")

    def finished_jobs(self) -> set[str]:
        rows = self.connection.execute("SELECT job_id FROM tracker.job WHERE state = 'finished'").fetchall()
        return {job_id for (job_id,) in rows}

    def end_of(self, request: dict[str, Any], **changes: Any) -> dict[str, Any]:
        job = {"type": request["data"]["job"]["type"], "account": request["data"]["job"]["account"]} | changes
        counters = {"total": 0, "processed": 0, "successful": 0, "failed": 0, "skipped": 0}
        subject = request["subject"] if not changes else str(uuid.uuid4())
        data = {"job": job, "attempt": 1, "seq": 1, "outcome": "success", "counters": counters, "metadata": {}}
        return {
            "type": "job.finished.v1",
            "specversion": "1.0",
            "id": f"{subject}/1/1",
            "source": "jobtrail/test",
            "subject": subject,
            "time": self.clock.time.isoformat(),
            "tenant": request["tenant"],
            "correlationid": request["correlationid"],
            "data": data | {"error": None, "duration_ms": 1, "then": []},
        }

    def close(self) -> None:
        for opened in self._open:
            opened.close()


@pytest.fixture
def make_schedules(system: Any, connection: psycopg.Connection[Any]) -> Iterator[Any]:
    """make_schedules(NOW): the schedules of a test whose clock stands at NOW."""
    made: list[Schedules] = []

    def make(now: datetime) -> Schedules:
        migrate(system.database_url, "tracker", ["job_tracker.store"])
        migrate_accounts(system.database_url)
        made.append(Schedules(system, connection, now))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(name="job_id")
def job_id_fixture() -> Any:
    return job_id
