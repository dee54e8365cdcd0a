"""The real syncer process against the real sandbox, Kafka and PostgreSQL; catalogue and mappings come by SQL."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from cryptography.fernet import Fernet
from psycopg import Connection
from psycopg_pool import ConnectionPool
from tests.api_answers import accepted, answers
from tests.checked_producer import CheckedProducer
from tests.job_requests import job_request

from job_events.envelope import HEADERS, decode, encode
from job_events.events import AnyEvent, Finished, ItemRecorded
from job_events.topics import Topics, request_key
from local_stack import free_port
from platforms.accounts import AccountStore
from platforms.cipher import Cipher
from platforms.migrate import migrate
from platforms.phones import alternates
from service_kit import kafka as kafka_clients
from service_kit.database import migrate as migrate_schema

TENANT = "demo"
RECIPE = {"products": 40, "customers": 40, "seed": 7}


@pytest.fixture(scope="session")
def schemas() -> tuple[str, ...]:
    return "accounts", "puller", "matcher", "syncer", "tracker"


@pytest.fixture(scope="session")
def control(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]) -> Iterator[httpx.Client]:
    """The control API of one sandbox; each test has an account of its own in it."""
    state, port = tmp_path_factory.mktemp("sandbox"), free_port()
    argv = [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(state)]
    with (
        subprocess.Popen(argv) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/_sandbox", timeout=120, trust_env=False) as client,
    ):

        def answers() -> bool:
            assert process.poll() is None, "the sandbox ended"
            try:
                return client.get("/health").is_success
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, message="the sandbox answers")
            yield client
        finally:
            process.terminate()


class Shop:
    """One account in the sandbox, its catalogue and mappings in PostgreSQL, and its jobs on Kafka."""

    def __init__(self, control: httpx.Client, kafka: str, topics: Topics, pool: ConnectionPool, wait: Any) -> None:
        self.control, self.topics, self.pool, self.wait_until = control, topics, pool, wait
        self.account = f"shop-{uuid.uuid4().hex[:8]}"
        self.secret_key = Fernet.generate_key().decode()
        self.store = AccountStore(pool, Cipher(self.secret_key))
        self.api: httpx.Client | None = None
        self._producer = CheckedProducer(kafka)
        self.consumer: Consumer = kafka_clients.consumer(kafka, f"{topics.prefix}test", "test")
        self.consumer.subscribe([topics.events, topics.items])
        self._events: list[AnyEvent] = []
        self._transaction: Connection | None = None

    # --- the sandbox

    def post(self, path: str, **body: object) -> dict[str, Any]:
        made: dict[str, Any] = self.control.post(path, json=body).raise_for_status().json()
        return made

    def connect(self, **recipe: int) -> None:
        content = RECIPE | recipe
        made = self.post("/shops", account=self.account, nhanh=content, shopify=content)
        self.depot_locations: dict[str, str] = made["depot_locations"]
        self.settings()
        for platform in ("nhanh", "shopify"):
            side = made[platform]
            self.store.put_connection(TENANT, self.account, platform, side["base_url"], side["credentials"])

    def settings(self, **more: object) -> None:
        self.store.put_account(TENANT, self.account, {"depot_locations": self.depot_locations, **more})

    def records(self, platform: str, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.get(f"/records/{self.account}/{platform}/{kind}").json()
        return found

    def variants(self) -> dict[str, dict[str, Any]]:
        return {doc["id"]: doc for doc in self.records("shopify", "variant")}

    def edit(self, platform: str, kind: str, number: int, **changes: object) -> None:
        self.post(f"/records/{self.account}/{platform}/{kind}", id=number, at=1_780_000_000, **changes)

    def fault(self, kind: str, **more: object) -> None:
        self.post("/faults", platform="shopify", account=self.account, kind=kind, **more)

    def refused(self) -> int:
        """How many requests the faults of this account have hit."""
        found: Any = self.control.get("/faults").raise_for_status().json()
        return sum(fault["hits"] for fault in found if fault["fault"]["account"] == self.account)

    def clear_faults(self) -> None:
        self.control.delete("/faults").raise_for_status()

    def writes(self) -> list[dict[str, Any]]:
        """Every item of every write in the sandbox's raw log, refused ones too."""
        query = {"account": self.account, "platform": "shopify", "writes": "true"}
        found: Any = self.control.get("/requests", params=query).raise_for_status().json()
        return [item for entry in found for item in entry["items"]]

    def truth(self, kind: str) -> dict[str, str]:
        """Nhanh id -> Shopify id of what is the same."""
        pairs: list[dict[str, str]] = self.control.get(f"/truth/{self.account}/{kind}").json()
        return {pair["nhanh"]: pair["shopify"] for pair in pairs}

    # --- catalogue and mappings

    def sql(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        names = {"tenant": TENANT, "account": self.account, **values}
        with self.pool.connection() if self._transaction is None else nullcontext(self._transaction) as connection:
            cursor = connection.execute(query.encode(), names)
            return cursor.fetchall() if cursor.description else []

    def pull(self) -> None:
        """Fill the catalogue from what both platforms hold now, as a pull would."""
        with self.pool.connection() as self._transaction:
            self._fill()
        self._transaction = None

    def _fill(self) -> None:
        for table in ("variant", "stock", "customer", "record"):
            self.sql(f"delete from puller.{table} where account = %(account)s")
        for doc in self.records("nhanh", "product"):
            if doc["parentId"] != -2:
                prices = {"retail": doc["prices"]["retail"]} if doc["prices"]["retail"] is not None else {}
                self._variant("nhanh", str(doc["id"]), prices, doc["priceVatMode"], None, doc["_stock"])
        for doc in self.records("shopify", "variant"):
            prices = {"retail": float(doc["price"])}
            places = {f"gid://shopify/Location/{place}": level for place, level in doc["_levels"].items()}
            self._variant("shopify", doc["id"], prices, None, "VND", places, f"gid://shopify/Product/{doc['_product']}")
        for doc in self.records("nhanh", "customer"):
            totals = {"total_amount": doc["totalAmount"], "points": doc["points"], "level": doc["level"]}
            self._customer("nhanh", str(doc["id"]), doc["name"], doc["mobile"], doc["email"], totals)
        for doc in self.records("shopify", "customer"):
            phone = (doc["defaultPhoneNumber"] or {}).get("phoneNumber")
            email = (doc["defaultEmailAddress"] or {}).get("emailAddress")
            name = " ".join(part for part in (doc["firstName"], doc["lastName"]) if part)
            self._customer("shopify", doc["id"], name, phone, email, {})

    def _variant(
        self,
        platform: str,
        variant: str,
        prices: dict[str, float],
        vat_mode: int | None,
        currency: str | None,
        stock: dict[str, int],
        product: str = "",
    ) -> None:
        values = {"platform": platform, "id": variant, "product": product or variant}
        self._record(platform, "product", variant)
        self.sql(
            "insert into puller.variant (tenant, account, platform, variant_id, record_id, product_id, price, prices,"
            " vat_mode, currency) values (%(tenant)s, %(account)s, %(platform)s, %(id)s, %(id)s, %(product)s,"
            " %(price)s, %(prices)s::jsonb, %(vat_mode)s, %(currency)s)",
            **values,
            price=prices.get("retail"),
            prices=json.dumps(prices),
            vat_mode=vat_mode,
            currency=currency,
        )
        for place, available in stock.items():
            self.sql(
                "insert into puller.stock (tenant, account, platform, variant_id, place_id, record_id, available)"
                " values (%(tenant)s, %(account)s, %(platform)s, %(id)s, %(place)s, %(id)s, %(available)s)",
                **values,
                place=place,
                available=available,
            )

    def _customer(
        self, platform: str, customer: str, name: str, phone: str | None, email: str | None, totals: dict[str, Any]
    ) -> None:
        self._record(platform, "customer", customer)
        self.sql(
            "insert into puller.customer (tenant, account, platform, customer_id, name, phone, phones, email, totals)"
            " values (%(tenant)s, %(account)s, %(platform)s, %(id)s, %(name)s, %(phone)s, %(phones)s, %(email)s,"
            " %(totals)s::jsonb)",
            platform=platform,
            id=customer,
            name=name,
            phone=phone,
            phones=list(alternates([phone])),
            email=email,
            totals=json.dumps(totals),
        )

    def _record(self, platform: str, kind: str, record: str) -> None:
        self.sql(
            "insert into puller.record (tenant, account, platform, kind, record_id, content_hash, seen_by_job, seen_at,"
            " changed_at) values (%(tenant)s, %(account)s, %(platform)s, %(kind)s, %(id)s, 'x', 'test', now(), now())",
            platform=platform,
            kind=kind,
            id=record,
        )

    def map(self, kind: str, pairs: dict[str, str]) -> None:
        for nhanh, shopify in pairs.items():
            self.sql(
                "insert into matcher.match (tenant, account, kind, hub_id, remote_id, status, method, score, job_id)"
                " values (%(tenant)s, %(account)s, %(kind)s, %(nhanh)s, %(shopify)s, 'auto', 'sku', 1, 'test')",
                kind=kind,
                nhanh=nhanh,
                shopify=shopify,
            )

    # --- jobs

    def ask(self, job_type: str, **params: Any) -> httpx.Response:
        """Ask the API for a job, as a person does."""
        assert self.api is not None, "the test uses no API"
        return self.api.post(
            "/jobs", json={"type": job_type, "tenant": TENANT, "account": self.account, "params": params}
        )

    def request(self, job_type: str, **params: Any) -> str:
        """Ask for a job through the API where the test has one, else as the API would."""
        if self.api is not None:
            job_id: str = accepted(self.ask(job_type, **params))["job_id"]
            return job_id
        return self.request_directly(job_type, **params)

    def request_directly(self, job_type: str, **params: Any) -> str:
        """Ask for a job as a service does, behind the API."""
        event = job_request(job_type, TENANT, self.account, **params)
        self.send(event, request_key(TENANT, self.account))
        return event.job_id

    def send(self, event: AnyEvent, key: bytes) -> None:
        """Put it among the syncer's requests."""
        self._producer.send(self.topics.requests("syncer"), encode(event), key, headers=HEADERS)

    def finished(self, job_id: str) -> Finished:
        """Wait for a job's end, and for as many of its items as its outbox promised."""
        ends: list[Finished] = []

        def ended() -> bool:
            self._read()
            ends.extend(one for one in self._events if isinstance(one, Finished) and one.job_id == job_id)
            return bool(ends)

        self.wait_until(ended, message=f"job {job_id} ends")
        return ends[0]

    def items(self, job_id: str, expected: int) -> dict[str, ItemRecorded]:
        """A job's items by their Nhanh id, exactly `expected` of them with one result each."""

        def found() -> list[ItemRecorded]:
            self._read()
            return [one for one in self._events if isinstance(one, ItemRecorded) and one.job_id == job_id]

        self.wait_until(lambda: len(found()) >= expected, message=f"{expected} items of {job_id}")
        items = {one.data.item: one for one in found()}
        assert len(items) == len({one.id for one in found()}) == expected, "an item has two results"
        return items

    def _read(self) -> None:
        for message in self.consumer.consume(500, timeout=0.2):
            if message.error() is None:
                self._events.append(decode(message.value()))

    def run(self, job_type: str, **params: Any) -> tuple[str, Finished]:
        job_id = self.request(job_type, **params)
        return job_id, self.finished(job_id)

    def run_directly(self, job_type: str, **params: Any) -> tuple[str, Finished]:
        job_id = self.request_directly(job_type, **params)
        return job_id, self.finished(job_id)


@pytest.fixture
def shop(
    control: httpx.Client, kafka: str, topics: Topics, pool: ConnectionPool, database_url: str, wait_until: Any
) -> Iterator[Shop]:
    """A connected account with its catalogue pulled and everything mapped that is the same."""
    migrate(database_url)
    for service in ("puller", "matcher"):
        migrate_schema(database_url, service, ["worker", service])
    made = Shop(control, kafka, topics, pool, wait_until)
    made.connect()
    made.pull()
    yield made
    made.clear_faults()
    made.consumer.close()


@pytest.fixture
def api(shop: Shop, kafka: str, database_url: str, wait_until: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    """The real API, which `shop` then asks for its jobs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": database_url,
        "JOBTRAIL_TOPIC_PREFIX": shop.topics.prefix,
        "JOBTRAIL_API_PORT": str(port),
    }
    with (tmp_path / "api.log").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "job_tracker", "api"], env=environment, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or answers(f"{url}/healthz"), f"an API at {url}")
        assert process.poll() is None, (tmp_path / "api.log").read_text()
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as shop.api:
            yield shop.api
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture
def syncer(shop: Shop, kafka: str, database_url: str, tmp_path: Path) -> Callable[[], Any]:
    """`with syncer() as process:` runs a syncer; it must end cleanly on SIGTERM unless the test killed it."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": database_url,
        "JOBTRAIL_SECRET_KEY": shop.secret_key,
        "JOBTRAIL_TOPIC_PREFIX": shop.topics.prefix,
    }

    @contextmanager
    def start() -> Generator[subprocess.Popen[bytes]]:
        log = tmp_path / f"syncer-{uuid.uuid4().hex[:6]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "syncer"], env=environment, stderr=output)
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
