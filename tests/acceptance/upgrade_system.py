"""Two releases of the services on one Kafka and one PostgreSQL, and what their log says about each job."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.chaos.log import read_log
from tests.release_processes import Release
from tests.safety.case import articles
from tests.safety.world import TENANT, World

from job_events.chains import CHAINS
from job_events.envelope import decode
from job_events.events import Finished, Requested, Started, Then
from job_events.topics import Topics
from sandbox.shops import DEPOTS, LOCATIONS
from service_kit.kafka_admin import group_members

WaitUntil = Callable[..., None]
TYPES = ("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS", "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC")
ACCOUNT_SETTINGS = {"depot_locations": {str(d): str(at) for (d, _), (at, _) in zip(DEPOTS, LOCATIONS, strict=True)}}
_CHAIN = CHAINS["products"]
_GROUPS = {"projector": "tracker-jobs", "items": "tracker-items", "agent": "matcher-agent"}
_SLOW_SECONDS = 8.0


def catalogue(size: int, price: int, stock: int) -> list[dict[str, Any]]:
    """Products 1 to `size`, each with a code of its own."""
    row = {"title": "Cà phê rang xay {n}", "sku": "CF-{n}-G", "price": str(price), "stock": str(stock)}
    rows = (
        {name: text.replace("{n}", str(1000 + n)) for name, text in row.items()} | {"id": str(1000 + n)}
        for n in range(1, size + 1)
    )
    return articles(rows)


@dataclass
class Upgrade:
    """The servers, both releases, the number of products of each account, and the account of each chain."""

    old: Release
    new: Release
    world: World
    new_api: httpx.Client
    kafka: str
    database: str
    env: dict[str, str]
    wait_until: WaitUntil
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    chains: dict[str, str] = field(default_factory=dict[str, str])

    def alive(self) -> bool:
        died = self.old.died() + self.new.died()
        assert not died, "\n".join(died)
        return True

    def wait(self, found: Callable[[], object], message: str) -> None:
        """Wait for a condition; fail as soon as a process has exited."""
        self.wait_until(lambda: self.alive() and found(), message)

    def wait_for_members(self, *parts: str, count: int = 1) -> None:
        """Wait until the consumer group of each of these processes has `count` members."""

        def all_in() -> bool:
            try:
                return all(group_members(admin, _GROUPS.get(part, part), 20) == count for part in parts)
            except KafkaException:
                return False

        with AdminClient({"bootstrap.servers": self.kafka}) as admin:
            self.wait(all_in, f"{count} members each in {parts}")

    def wait_until_ready(self, api: httpx.Client) -> None:
        def ready() -> bool:
            try:
                return api.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        self.wait(ready, f"{api.base_url} to be ready")

    def account(self, name: str, size: int) -> str:
        """Create an account whose hub differs from its shop in price and stock."""
        sides = {"nhanh": catalogue(size, 52_000, 7), "shopify": catalogue(size, 50_000, 3)}
        shops = {platform: {"products": made, "customers": []} for platform, made in sides.items()}
        made = self.world.control("POST", "shops", {"account": name, **shops})
        self.world.control("PATCH", f"shops/{name}/shopify", {"restore_rate": 1000})
        self.world.accounts.put_account(TENANT, name, ACCOUNT_SETTINGS)
        for platform in sides:
            shop = made[platform]
            self.world.accounts.put_connection(TENANT, name, platform, shop["base_url"], shop["credentials"])
        self.sizes[name] = size
        return name

    def chain(self, account: str, sync: dict[str, Any] | None = None, **pull_params: int) -> str:
        """Request the first jobs of a chain; returns its id. sync: parameters of its last step."""
        chain = str(uuid.uuid4())
        then = _plain(_CHAIN.then, sync or {})
        for first in _CHAIN.first:
            self.world.request(account, first.type, params=pull_params, then=then, chain=chain)
        self.chains[chain] = account
        return chain

    def wait_for_success(self, *chains: str) -> None:
        """Wait for the end of chains; every job must succeed."""
        for chain in chains:
            jobs = self.world.finished_chain(chain, set(TYPES))
            assert {job["type"]: job["outcome"] for job in jobs} == dict.fromkeys(TYPES, "success"), jobs
            assert len(jobs) == len(TYPES)

    def slow_down(self, account: str, platform: str, **part: str) -> None:
        fault = {"account": account, "platform": platform, "kind": "slow", "seconds": _SLOW_SECONDS, **part}
        self.world.control("POST", "faults", fault)

    def pause_matcher(self) -> None:
        """Pause the matcher's queue and wait until its processes have applied that."""
        assert self.world.api.post("/queues/matcher/pause", json={"reason": "upgrade"}).status_code == 202
        self.wait(self._matcher_is_paused, "the matcher's queue to be paused")

    def resume_matcher(self) -> None:
        assert self.world.api.post("/queues/matcher/resume", json={"reason": "upgrade"}).status_code == 202
        self.wait(lambda: not self._matcher_is_paused(), "the matcher's queue to go on")

    def _matcher_is_paused(self) -> bool:
        return self._count("matcher.hold") > 0

    def waiting_matches(self) -> int:
        return self._count("matcher.inbox where state = 'queued'")

    def _count(self, rows: str) -> int:
        with psycopg.connect(self.database) as connection:
            row = connection.execute(f"select count(*) from {rows}").fetchone()
        return row[0] if row else 0

    def has_checkpoint(self, service: str, account: str, job_type: str) -> bool:
        """Whether the account's job runs and has passed its first checkpoint."""
        query = f"select cursor from {service}.inbox where account = %s and job_type = %s and state = 'running'"
        with psycopg.connect(self.database) as connection:
            row = connection.execute(query, [account, job_type]).fetchone()
        return row is not None and row[0] is not None and row[0].get("next") not in (None, 0)

    def log(self) -> "JobLog":
        topics = Topics()
        requests = [topics.requests(service) for service in ("puller", "matcher", "syncer")]
        read = JobLog()
        for record in read_log(self.kafka, [*requests, topics.events]):
            match decode(record.value or b""):
                case Requested() as event:
                    read.requested[event.job_id].add(event.id)
                    read.described[event.job_id] = event
                case Started() as event:
                    read.pids[event.job_id][event.data.attempt] = int(event.data.worker.split(":")[1])
                case Finished() as event:
                    read.finished[event.job_id].append(event)
                case _:
                    pass
        return read


@dataclass
class JobLog:
    """Request ids, the process of each attempt, and the finished events, by job."""

    requested: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    described: dict[str, Requested] = field(default_factory=dict[str, Requested])
    pids: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    finished: dict[str, list[Finished]] = field(default_factory=lambda: defaultdict(list))

    def job(self, account: str, job_type: str) -> str:
        """The only job of a type and account."""
        (found,) = [
            job_id
            for job_id, event in self.described.items()
            if (event.data.job.account, event.data.job.type) == (account, job_type)
        ]
        return found


def _plain(then: Sequence[Then], sync: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": one.type,
            "needs": list(one.needs),
            "params": sync if one.type == "PRODUCT_SYNC" else {},
            "then": _plain(one.then, sync),
        }
        for one in then
    ]


def start_workers(release: Release) -> None:
    """Start all services that run jobs. The matcher runs one job at a time."""
    release.start("puller", "agent", "syncer")
    release.start("matcher", JOBTRAIL_WORKERS="1")
