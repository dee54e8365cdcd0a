"""The matcher's real processes on real Kafka and PostgreSQL, with a catalogue that the test fills in."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from tests.checked_producer import CheckedProducer
from tests.job_requests import job_control, job_request

from job_events.envelope import HEADERS, decode, encode, read_dead_letter
from job_events.events import (
    DeadLetter,
    Finished,
    Progress,
)
from job_events.topics import Topics, request_key
from platforms.migrate import migrate as migrate_accounts
from service_kit import kafka as clients
from service_kit.database import migrate


@pytest.fixture(scope="session")
def schemas() -> tuple[str, ...]:
    return "accounts", "puller", "matcher"


class Room:
    """A tenant `t` with the account `shop`, its catalogue, and the processes that match it."""

    def __init__(self, kafka: str, database_url: str, pool: ConnectionPool, topics: Topics, logs: Path) -> None:
        self.kafka, self.topics, self.pool = kafka, topics, pool
        self._database_url = database_url
        self._logs = logs
        self._started: list[subprocess.Popen[bytes]] = []
        self._producer = CheckedProducer(kafka)
        migrate_accounts(database_url)
        for service in ("puller", "matcher"):
            migrate(database_url, service, ["worker", service])
        self.run("insert into accounts.account (tenant, account) values ('t', 'shop')")

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """`python -m matcher ...`; ended with the test."""
        env = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "DATABASE_URL": self._database_url,
            "JOBTRAIL_TOPIC_PREFIX": self.topics.prefix,
            "JOBTRAIL_CHUNK_OVERDUE": "120",
            "JOBTRAIL_PRODUCT_CHUNK": "20",
            "JOBTRAIL_CUSTOMER_CHUNK": "20",
            **environment,
        }
        log = (self._logs / f"matcher-{len(self._started)}-{'-'.join(arguments) or 'owner'}.log").open("wb")
        process = subprocess.Popen([sys.executable, "-m", "matcher", *arguments], env=env, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, statement: str, *values: object) -> None:
        with self.pool.connection() as conn:
            conn.execute(statement, values or None)  # pyright: ignore[reportArgumentType]  # a test's own text

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]

    def put_products(self, platform: str, products: dict[str, dict[str, Any]], account: str = "shop") -> None:
        """One product with one variant each: title, sku, barcode, brand, model, description."""
        for record_id, product in products.items():
            self._record(account, platform, "product", record_id)
            self.run(
                "insert into puller.product (tenant, account, platform, product_id, title, brand, model, description)"
                " values ('t', %s, %s, %s, %s, %s, %s, %s)",
                *(account, platform, f"p{record_id}", product.get("title", "")),
                *(product.get(name) for name in ("brand", "model", "description")),
            )
            self.run(
                "insert into puller.variant (tenant, account, platform, variant_id, record_id, product_id, sku,"
                " barcode, prices) values ('t', %s, %s, %s, %s, %s, %s, %s, '{}')",
                *(account, platform, record_id, record_id, f"p{record_id}", product.get("sku"), product.get("barcode")),
            )

    def put_customers(self, platform: str, customers: dict[str, dict[str, Any]], account: str = "shop") -> None:
        """name, phone, email."""
        for record_id, customer in customers.items():
            self._record(account, platform, "customer", record_id)
            self.run(
                "insert into puller.customer (tenant, account, platform, customer_id, name, phone, phones, email,"
                " totals) values ('t', %s, %s, %s, %s, %s, %s, %s, '{}')",
                *(account, platform, record_id, customer.get("name"), customer.get("phone")),
                *([customer["phone"]] if customer.get("phone") else [], customer.get("email")),
            )

    def _record(self, account: str, platform: str, kind: str, record_id: str) -> None:
        self.run(
            "insert into puller.record (tenant, account, platform, kind, record_id, seen_by_job, seen_at, changed_at)"
            " values ('t', %s, %s, %s, %s, 'pull', now(), now())",
            *(account, platform, kind, record_id),
        )

    def set_product(self, record_id: str, **values: str | None) -> None:
        """The platform now says this of a product: title, sku, barcode."""
        for name, value in values.items():
            if name == "title":
                self.run("update puller.product set title = %s where product_id = %s", value, f"p{record_id}")
            else:
                self.run(f"update puller.variant set {name} = %s where variant_id = %s", value, record_id)

    def set_settings(self, settings: dict[str, Any]) -> None:
        """Replace the account's settings."""
        self.run("update accounts.account set settings = %s", Jsonb(settings))

    def drop(self, platform: str, record_id: str) -> None:
        """The platform no longer lists the record."""
        self.run("update puller.record set gone_at = now() where platform = %s and record_id = %s", platform, record_id)

    def request(self, job_type: str, **params: Any) -> str:
        """Ask for a job; its id."""
        event = job_request(job_type, "t", "shop", **params)
        self._send(self.topics.requests("matcher"), encode(event))
        return event.job_id

    def send_request(self, account: str, value: bytes) -> None:
        """Put a request of any account on the matcher's topic."""
        self._producer.send(self.topics.requests("matcher"), value, request_key("t", account), headers=HEADERS)

    def control(self, verb: str, job_id: str) -> None:
        """Cancel, pause or resume a job."""
        self._send(self.topics.requests("matcher"), encode(job_control(verb, "t", job_id)))

    def send_chunk(self, value: bytes) -> None:
        """Put bytes on the agents' topic as anybody may."""
        self._send(self.topics.chunks, value)

    def _send(self, topic: str, value: bytes) -> None:
        self._producer.send(topic, value, request_key("t", "shop"), headers=HEADERS)

    def inbox(self, job_id: str) -> dict[str, Any]:
        found = self.rows("select * from matcher.inbox where job_id = %s", job_id)
        return found[0] if found else {"state": "unknown", "attempt": 0, "tally": None}

    def chunks(self, job_id: str) -> list[dict[str, Any]]:
        columns = "chunk_no, times_sent, tries, finished_at, failure"
        return self.rows(f"select {columns} from matcher.chunk where job_id = %s order by chunk_no", job_id)

    def scored(self, job_id: str) -> int:
        return sum(chunk["finished_at"] is not None for chunk in self.chunks(job_id))

    def matches(self) -> dict[tuple[str, str], str]:
        """All mappings with their status; the kept totals must agree."""
        counted = self.rows(
            "select tenant, account, kind, count(*) as records, platform from matcher.api_matches group by 1, 2, 3, 5"
        )
        kept = self.rows("select * from matcher.api_totals where records <> 0")
        assert sorted(map(repr, counted)) == sorted(map(repr, kept))
        found = self.rows("select hub_id, remote_id, status from matcher.api_matches")
        return {(row["hub_id"], row["remote_id"]): row["status"] for row in found}

    def reasons(self) -> dict[tuple[str, str], str]:
        """Why each review waits; nothing else may have a reason."""
        found = self.rows("select hub_id, remote_id, status, reason from matcher.api_matches")
        assert all((row["reason"] is not None) == (row["status"] == "review") for row in found)
        return {(row["hub_id"], row["remote_id"]): row["reason"] for row in found if row["reason"] is not None}

    def messages(self, topic: str) -> list[bytes]:
        """All there is on a topic now."""
        reader = clients.consumer(self.kafka, f"{self.topics.prefix}reader", "test")
        spec = next(spec for spec in self.topics.specs() if spec.name == topic)
        places = [TopicPartition(topic, number) for number in range(spec.partitions)]
        # To the offsets of now, not to a pause: on a busy machine a broker may be silent for seconds.
        bounds = {place.partition: reader.get_watermark_offsets(place, timeout=120) for place in places}
        reader.assign([TopicPartition(topic, number, low) for number, (low, _) in bounds.items()])
        left = {number for number, (low, high) in bounds.items() if high > low}
        found: list[bytes] = []
        while left:
            for message in reader.consume(1000, 1.0):
                assert message.error() is None, message.error()
                found.append(message.value() or b"")
                if (message.offset() or 0) + 1 >= bounds[message.partition() or 0][1]:
                    left.discard(message.partition() or 0)
        reader.close()
        return found

    def finished(self, job_id: str) -> list[Finished]:
        events = [decode(value) for value in self.messages(self.topics.events)]
        return [event for event in events if isinstance(event, Finished) and event.job_id == job_id]

    def progress(self, job_id: str) -> list[Progress]:
        events = [decode(value) for value in self.messages(self.topics.events)]
        return [event for event in events if isinstance(event, Progress) and event.job_id == job_id]

    def dead_letters(self) -> list[DeadLetter]:
        return [read_dead_letter(value) for value in self.messages(self.topics.dead_letters)]


@pytest.fixture
def room(kafka: str, database_url: str, pool: ConnectionPool, topics: Topics, tmp_path: Path) -> Iterator[Room]:
    made = Room(kafka, database_url, pool, topics, tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def ended(room: Room, wait_until: Callable[..., None]) -> Callable[[str], Finished]:
    """`ended(job_id)` waits for the end of a job and gives its one finished event."""

    def wait(job_id: str) -> Finished:
        wait_until(lambda: room.inbox(job_id)["state"] == "finished", f"{job_id} does not end")
        wait_until(lambda: room.finished(job_id), "the end is not on the topic")
        events = room.finished(job_id)
        assert len(events) == 1
        return events[0]

    return wait
