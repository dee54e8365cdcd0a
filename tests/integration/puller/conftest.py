"""The real puller process against the real sandbox, Kafka and PostgreSQL."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from cryptography.fernet import Fernet
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from tests.checked_producer import CheckedProducer
from tests.job_requests import job_request

from job_events.envelope import HEADERS, decode, encode
from job_events.events import AnyEvent, Finished, ItemRecorded
from job_events.topics import Topics, request_key
from local_stack import free_port
from platforms.accounts import AccountStore
from platforms.cipher import Cipher
from platforms.migrate import migrate
from service_kit import kafka as kafka_clients

WaitUntil = Callable[..., None]
# Each kind of pull, its platform, and what the sandbox calls the number of items that the platform lists.
KINDS = {
    "PULL_NHANH_PRODUCTS": ("nhanh", "rows"),
    "PULL_NHANH_CUSTOMERS": ("nhanh", "customers"),
    "PULL_SHOPIFY_PRODUCTS": ("shopify", "products"),
    "PULL_SHOPIFY_CUSTOMERS": ("shopify", "customers"),
}
TENANT = "demo"
RECIPE = {"products": 60, "customers": 90, "seed": 7}


class Sandbox:
    """The sandbox's control API."""

    def __init__(self, root: str) -> None:
        self.http = httpx.Client(base_url=f"{root}/_sandbox", timeout=120, trust_env=False)

    def shops(self, account: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/shops").raise_for_status().json()["accounts"][account]
        return found

    def fault(self, platform: str, account: str, kind: str, **more: object) -> None:
        body = {"platform": platform, "account": account, "kind": kind, **more}
        self.http.post("/faults", json=body).raise_for_status()

    def hits(self, account: str) -> int:
        """How many calls the faults of the account have hit."""
        found: Any = self.http.get("/faults").raise_for_status().json()
        return sum(active["hits"] for active in found if active["fault"]["account"] == account)

    def clear_faults(self) -> None:
        self.http.delete("/faults").raise_for_status()

    def switch(self, account: str, platform: str, **changes: object) -> None:
        self.http.patch(f"/shops/{account}/{platform}", json=changes).raise_for_status()

    def edit(self, account: str, platform: str, kind: str, record: int, **changes: object) -> None:
        body = {"id": record, "at": 1_780_000_000, **changes}
        self.http.post(f"/records/{account}/{platform}/{kind}", json=body).raise_for_status()

    def records(self, account: str, platform: str, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"/records/{account}/{platform}/{kind}").raise_for_status().json()
        return found

    def requests(self, account: str, platform: str) -> list[dict[str, Any]]:
        query = {"account": account, "platform": platform}
        found: Any = self.http.get("/requests", params=query).raise_for_status().json()
        return found if isinstance(found, list) else found["requests"]


@pytest.fixture(scope="session")
def schemas() -> tuple[str, ...]:
    return "accounts", "puller"


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[Sandbox]:
    """One sandbox for all tests; each test has accounts of its own in it."""
    state, port = tmp_path_factory.mktemp("sandbox"), free_port()
    argv = [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(state)]
    with subprocess.Popen(argv) as process:
        control = Sandbox(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            try:
                return control.http.get("/health").is_success
            except httpx.TransportError:
                assert process.poll() is None, "the sandbox ended"
                return False

        try:
            wait_until(answers, message="the sandbox answers")
            yield control
        finally:
            control.http.close()
            process.terminate()


class World:
    """One account in the sandbox and in the store, and what the puller says about its jobs."""

    def __init__(self, sandbox: Sandbox, kafka: str, topics: Topics, pool: ConnectionPool, wait: WaitUntil) -> None:
        self.sandbox = sandbox
        self.topics = topics
        self.pool = pool
        self.wait_until = wait
        self.account = f"shop-{uuid.uuid4().hex[:8]}"
        self.secret_key = Fernet.generate_key().decode()
        self.store = AccountStore(pool, Cipher(self.secret_key))
        self.events: list[AnyEvent] = []
        self._producer = CheckedProducer(kafka)
        self.consumer: Consumer = kafka_clients.consumer(kafka, f"{topics.prefix}test", "test")
        self.consumer.subscribe([topics.events, topics.items])

    def connect(self, recipe: dict[str, Any]) -> None:
        body = {"account": self.account, "nhanh": recipe, "shopify": recipe}
        made = self.sandbox.http.post("/shops", json=body).raise_for_status().json()
        # A Plus plan's bucket: these tests are not about waiting for points.
        plan = {"bucket": 20_000, "restore_rate": 1000}
        self.sandbox.http.patch(f"/shops/{self.account}/shopify", json=plan).raise_for_status()
        self.store.put_account(TENANT, self.account)
        for platform in ("nhanh", "shopify"):
            side = made[platform]
            self.store.put_connection(TENANT, self.account, platform, side["base_url"], side["credentials"])

    @property
    def shops(self) -> dict[str, Any]:
        return self.sandbox.shops(self.account)

    def held(self) -> dict[str, int]:
        """By kind of pull: how many items the platform lists."""
        shops = self.shops
        return {name: shops[platform]["records"][count] for name, (platform, count) in KINDS.items()}

    def request(self, job_type: str, **params: Any) -> str:
        """Put a job request on the topic, as the API does."""
        event = job_request(job_type, TENANT, self.account, **params)
        key = request_key(TENANT, self.account)
        self._producer.send(self.topics.requests("puller"), encode(event), key, headers=HEADERS)
        return event.job_id

    def seen(self, job_id: str) -> list[AnyEvent]:
        """All events and items of a job so far."""
        for message in self.consumer.consume(500, timeout=0.2):
            if message.error() is None:
                self.events.append(decode(message.value()))
        return [event for event in self.events if event.job_id == job_id]

    def finished(self, job_id: str) -> Finished:
        """Wait for the job's end."""
        ends: list[Finished] = []

        def ended() -> bool:
            ends.extend(event for event in self.seen(job_id) if isinstance(event, Finished))
            return bool(ends)

        self.wait_until(ended, message=f"job {job_id} ends")
        return ends[0]

    def run(self, job_type: str, **params: Any) -> Finished:
        return self.finished(self.request(job_type, **params))

    def items(self, job_id: str, expected: int) -> list[ItemRecorded]:
        """Wait for a job's items; they travel on a topic of their own."""

        def found() -> list[ItemRecorded]:
            return [event for event in self.seen(job_id) if isinstance(event, ItemRecorded)]

        self.wait_until(lambda: len(found()) >= expected, message=f"{expected} items of {job_id}")
        return found()

    def rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with self.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            names = {"tenant": TENANT, "account": self.account, **values}
            return cursor.execute(query.encode(), names).fetchall()


@pytest.fixture
def world(
    sandbox: Sandbox, kafka: str, topics: Topics, pool: ConnectionPool, database_url: str, wait_until: WaitUntil
) -> Iterator[World]:
    """A connected account with the standard recipe."""
    migrate(database_url)
    made = World(sandbox, kafka, topics, pool, wait_until)
    made.connect(RECIPE)
    yield made
    sandbox.clear_faults()
    made.consumer.close()


@pytest.fixture
def puller(world: World, kafka: str, database_url: str, tmp_path: Path) -> Callable[[], Any]:
    """`with puller() as process:` runs a puller; it must end cleanly on SIGTERM unless the test killed it."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": database_url,
        "JOBTRAIL_SECRET_KEY": world.secret_key,
        "JOBTRAIL_TOPIC_PREFIX": world.topics.prefix,
    }

    @contextmanager
    def start() -> Generator[subprocess.Popen[bytes]]:
        log = tmp_path / f"puller-{uuid.uuid4().hex[:6]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "puller"], env=environment, stderr=output)
        try:
            yield process
            killed = process.poll() == -signal.SIGKILL
            process.terminate()
            assert killed or process.wait(120) == 0, log.read_text()
        except BaseException:
            sys.stderr.write(log.read_text())
            raise
        finally:
            process.kill()
            process.wait()

    return start
