"""A worker service whose job code is the test's, on real Kafka and PostgreSQL."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from confluent_kafka import TopicPartition
from tests.checked_producer import CheckedProducer

from job_events.envelope import HEADERS, decode, encode, read_dead_letter
from job_events.events import (
    AnyEvent,
    Cancel,
    ControlData,
    ControlTarget,
    DeadLetter,
    Finished,
    JobInfo,
    Pause,
    Requested,
    RequestedData,
    Resume,
    Then,
)
from job_events.topics import Topics, request_key
from service_kit import kafka as clients
from service_kit.clock import SystemClock
from service_kit.database import migrate, open_pool
from worker.attempt import Handler
from worker.job_result import JobResult
from worker.loop import Limits, WorkerLoop

CONTROLS = {"cancel": Cancel, "pause": Pause, "resume": Resume}


class Bench:
    """Requests go in, events come out; `running(handlers)` runs a worker between."""

    def __init__(self, kafka: str, database_url: str, topics: Topics) -> None:
        self.kafka, self.database_url, self.topics = kafka, database_url, topics
        self._producer = CheckedProducer(kafka)
        migrate(database_url, "puller", ["worker"])
        self.seen: dict[str, list[bytes]] = {}
        self.reader = clients.consumer(kafka, f"{topics.prefix}reader", "test")
        self.reader.assign(
            [TopicPartition(spec.name, number, 0) for spec in topics.specs() for number in range(spec.partitions)]
        )

    @contextmanager
    def running(
        self,
        handlers: dict[str, Handler],
        threads: int = 2,
        group: str = "puller",
        known_account: Callable[[str, str], bool] = lambda _tenant, account: account == "shop",
        result_from_error: Callable[[Exception], JobResult | None] = lambda _error: None,
    ) -> Iterator[WorkerLoop]:
        """A worker until the block ends; its death fails the test."""
        stop = threading.Event()
        with open_pool(self.database_url, "puller", threads + 4) as pool:
            loop = WorkerLoop(
                "puller",
                handlers,
                pool=pool,
                open_consumer=lambda: clients.consumer(self.kafka, f"{self.topics.prefix}{group}", "test"),
                producer=clients.producer(self.kafka, "worker"),
                topics=self.topics,
                clock=SystemClock(),
                known_account=known_account,
                result_from_error=result_from_error,
                limits=Limits(threads, 4),
            )
            thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
            thread.start()
            try:
                yield loop
            finally:
                stop.set()
                thread.join(120)
                assert not thread.is_alive(), "the worker did not stop"

    def send(self, topic: str, value: bytes | None, key: bytes = b"t/shop") -> None:
        """Put bytes on a topic as anybody may."""
        self._producer.send(topic, value, key, headers=HEADERS)

    def request(self, job_type: str = "PULL_NHANH_PRODUCTS", **more: Any) -> str:
        """Ask for a job; returns its id."""
        job_id = more.pop("job_id", None) or str(uuid.uuid4())
        chain = more.pop("chain", job_id)
        data = RequestedData(job=JobInfo(job_type, more.pop("account", "shop")), **more)
        event = self.event(Requested, f"{job_id}/0/0", job_id, data, chain)
        self.send(self.topics.requests("puller"), encode(event))
        return job_id

    def control(self, verb: str, job_id: str, kind: str = "job") -> None:
        """Cancel, pause or resume."""
        target: Any = ControlTarget(kind, job_id if kind == "job" else None, "shop" if kind == "account" else None)  # pyright: ignore[reportArgumentType]
        data = ControlData(target=target, requested_by="lan", reason="a test")
        event = self.event(CONTROLS[verb], str(uuid.uuid4()), job_id, data, job_id)
        self.send(self.topics.requests("puller"), encode(event), request_key("t", "shop"))

    def event(self, kind: Any, event_id: str, job_id: str, data: Any, chain: str) -> Any:
        return kind(
            specversion="1.0",
            id=event_id,
            source="test",
            job_id=job_id,
            time=datetime.now(UTC),
            tenant="t",
            correlationid=chain,
            data=data,
        )

    def messages(self, topic: str) -> list[bytes]:
        """Everything seen on a topic so far, from the beginning."""
        for _ in range(20):
            batch = self.reader.consume(1000, 0.1)
            for message in batch:
                if message.error() is None:
                    self.seen.setdefault(message.topic() or "", []).append(message.value() or b"")
            if not batch:
                break
        return self.seen.get(topic, [])

    def events(self, job_id: str, kind: type[Any] | None = None) -> list[AnyEvent]:
        """The events of a job, perhaps of one type only."""
        found = [decode(value) for value in self.messages(self.topics.events)]
        return [e for e in found if e.job_id == job_id and (kind is None or isinstance(e, kind))]

    def end_of(self, job_id: str) -> Finished | None:
        """The job's end, if it has one; more than one is a failure unless they are equal."""
        ends = {encode(e): e for e in self.events(job_id, Finished)}
        assert len(ends) <= 1
        return next((e for e in ends.values() if isinstance(e, Finished)), None)

    def dead_letters(self) -> list[DeadLetter]:
        return [read_dead_letter(value) for value in self.messages(self.topics.dead_letters)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, options="-c search_path=puller") as connection:
            return connection.execute(query).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.fixture
def bench(kafka: str, database_url: str, topics: Topics) -> Iterator[Bench]:
    made = Bench(kafka, database_url, topics)
    yield made
    made.reader.close()


@pytest.fixture
def then() -> Callable[..., tuple[Then, ...]]:
    """`then("CHILD", needs=[...])`."""
    return lambda child, needs: (Then(child, tuple(needs)),)
