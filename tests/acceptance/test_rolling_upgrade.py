"""A rolling upgrade: the last release's processes and the present ones on one Kafka and one PostgreSQL.

RELEASE is the commit of the last release. When the next one is made, put that commit here: the test then says what an
upgrade from it promises, and docs/howto/upgrade.md is compared with what it finds.
"""

import os
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.chaos.log import read_log
from tests.releases import Release, export
from tests.safety import names
from tests.safety.case import articles
from tests.safety.world import TENANT, World

from job_events.envelope import decode
from job_events.events import Finished, Requested, Started, Then
from job_events.job_types import CHAINS, JOB_TYPES
from job_events.topics import Topics
from jobtrail.account_store import open_accounts
from jobtrail.groups import members
from local_stack import LocalStack, ServiceSpec, free_port
from platforms.cipher import Cipher
from sandbox.shops import DEPOTS, LOCATIONS
from service_kit.kafka_security import VARIABLES

RELEASE = "48bd553910337f698bd477c695723608bbc34f34"

WaitUntil = Callable[..., None]
TRACKER = ("projector", "items", "api")
WORKERS = ("puller", "matcher", "agent", "syncer")
GROUPS = {"projector": "tracker-jobs", "items": "tracker-items", "agent": "matcher-agent"}
CHAIN = CHAINS["products"]
TYPES = ("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS", "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC")
SETTINGS = {"depot_locations": {str(d): str(at) for (d, _), (at, _) in zip(DEPOTS, LOCATIONS, strict=True)}}
SLOW_SECONDS = 8.0
MOST_ROUNDS = 12
ACCOUNTS = 4  # of a round


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
    """The servers, both releases, and the accounts with the number of their products."""

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
        """Wait for something, as long as no process has ended by itself."""
        self.wait_until(lambda: self.alive() and found(), message)

    def joined(self, *parts: str, count: int = 1) -> None:
        """Wait until so many members are in the consumer groups of these parts."""

        def all_in() -> bool:
            try:
                return all(members(admin, GROUPS.get(part, part), 20) == count for part in parts)
            except KafkaException:
                return False

        with AdminClient({"bootstrap.servers": self.kafka}) as admin:
            self.wait(all_in, f"{count} members each in {parts}")

    def answers(self, api: httpx.Client) -> None:
        def ready() -> bool:
            try:
                return api.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        self.wait(ready, f"{api.base_url} to be ready")

    def account(self, name: str, size: int) -> str:
        """An account whose hub has other prices and stocks than its shop."""
        sides = {"nhanh": catalogue(size, 52_000, 7), "shopify": catalogue(size, 50_000, 3)}
        shops = {platform: {"products": made, "customers": []} for platform, made in sides.items()}
        made = self.world.control("POST", "shops", {"account": name, **shops})
        self.world.control("PATCH", f"shops/{name}/shopify", {"restore_rate": 1000})
        self.world.accounts.put_account(TENANT, name, SETTINGS)
        for platform in sides:
            shop = made[platform]
            self.world.accounts.put_connection(TENANT, name, platform, shop["base_url"], shop["credentials"])
        self.sizes[name] = size
        return name

    def chain(self, account: str, sync: dict[str, Any] | None = None, **pull_params: int) -> str:
        """Request all first jobs of a chain; its id. sync: the parameters of its last step."""
        chain = str(uuid.uuid4())
        then = _plain(CHAIN.then, sync or {})
        for first in CHAIN.first:
            self.world.request(account, first, params=pull_params, then=then, chain=chain)
        self.chains[chain] = account
        return chain

    def finished(self, *chains: str) -> None:
        """Wait for the end of chains; every job of them has ended well."""
        for chain in chains:
            jobs = self.world.finished_chain(chain, set(TYPES))
            assert {job["type"]: job["outcome"] for job in jobs} == dict.fromkeys(TYPES, "success"), jobs
            assert len(jobs) == len(TYPES)

    def slow(self, account: str, platform: str, **part: str) -> None:
        fault = {"account": account, "platform": platform, "kind": "slow", "seconds": SLOW_SECONDS, **part}
        self.world.control("POST", "faults", fault)

    def hold_matches(self) -> None:
        """Pause the matcher's queue, and wait until its processes see that."""
        assert self.world.api.post("/queues/matcher/pause", json={"reason": "upgrade"}).status_code == 202
        self.wait(self._matches_are_held, "the matcher's queue to be paused")

    def release_matches(self) -> None:
        assert self.world.api.post("/queues/matcher/resume", json={"reason": "upgrade"}).status_code == 202
        self.wait(lambda: not self._matches_are_held(), "the matcher's queue to go on")

    def _matches_are_held(self) -> bool:
        return self._count("matcher.hold") > 0

    def held_matches(self) -> int:
        return self._count("matcher.inbox where state = 'queued'")

    def _count(self, rows: str) -> int:
        with psycopg.connect(self.database) as connection:
            row = connection.execute(f"select count(*) from {rows}").fetchone()
        return row[0] if row else 0

    def under_way(self, service: str, account: str, job_type: str) -> bool:
        """Whether a job runs and has a checkpoint behind its first."""
        query = f"select cursor from {service}.inbox where account = %s and job_type = %s and state = 'running'"
        with psycopg.connect(self.database) as connection:
            row = connection.execute(query, [account, job_type]).fetchone()
        return row is not None and row[0] is not None and row[0].get("next") not in (None, 0)

    def log(self) -> "Log":
        topics = Topics()
        requests = [topics.requests(service) for service in ("puller", "matcher", "syncer")]
        read = Log()
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
class Log:
    """What the log says: request ids, the process of each attempt and the ends, by job."""

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
    """All services that run jobs; a matcher runs one at a time."""
    release.start("puller", "agent", "syncer")
    release.start("matcher", JOBTRAIL_WORKERS="1")


@pytest.fixture
def upgrade(user: Any, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil, tmp_path: Path) -> Iterator[Upgrade]:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        user.env.pop(name, None)
    export(RELEASE, tmp_path / "release")
    ports = {name: free_port() for name in ("old", "new", "sandbox")}
    sandbox_url = f"http://127.0.0.1:{ports['sandbox']}"
    with ExitStack() as stack:
        servers = stack.enter_context(LocalStack(user.folder / "servers"))
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
            "DATABASE_URL": servers.database_url,
            "JOBTRAIL_SECRET_KEY": Cipher.new_key(),
            "JOBTRAIL_PRODUCT_CHUNK": "20",
        }
        user.env |= env
        state = str(user.folder / "sandbox")
        command = [sys.executable, "-m", "sandbox", "--port", str(ports["sandbox"]), "--state", state]
        servers.start_services([ServiceSpec("sandbox", command)])
        clients = {
            name: stack.enter_context(httpx.Client(base_url=url, timeout=120, trust_env=False))
            for name, url in {
                "old": f"http://127.0.0.1:{ports['old']}",
                "new": f"http://127.0.0.1:{ports['new']}",
                "sandbox": sandbox_url,
            }.items()
        }
        releases: list[Release] = []
        for name, tree in (("old", tmp_path / "release"), ("new", None)):
            release = Release(name, tree, {**env, "JOBTRAIL_API_PORT": str(ports[name])}, tmp_path)
            stack.callback(release.close)
            releases.append(release)
        old, new = releases
        old.start(*TRACKER)
        start_workers(old)

        def sandbox_answers() -> bool:
            try:
                return clients["sandbox"].get("/_sandbox/health").status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(sandbox_answers)
        accounts = stack.enter_context(open_accounts(servers.database_url, env["JOBTRAIL_SECRET_KEY"]))
        world = World(clients["old"], clients["sandbox"], accounts)
        made = Upgrade(
            old, new, world, clients["new"], servers.bootstrap_servers, servers.database_url, env, wait_until
        )
        made.joined("projector", "items", *WORKERS)
        made.answers(clients["old"])
        yield made


def test_a_process_that_would_run_other_code_than_the_release_ends(tmp_path: Path) -> None:
    """The check that the next test rests on."""
    (tmp_path / "release").mkdir()
    command = [sys.executable, Path(__file__).parent / "old_process.py", tmp_path / "release", "puller"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""})
    assert ended.returncode == 1 and "is not the code of" in ended.stderr


@pytest.mark.timeout(1800)
def test_an_upgrade_loses_nothing_and_does_nothing_twice(upgrade: Upgrade, user: Any) -> None:
    old, new = upgrade.old, upgrade.new
    # All old.
    upgrade.finished(upgrade.chain(upgrade.account("all-old", 30)))

    # The tracker first: its schema is migrated while the old tracker and the old services run.
    new.start(*TRACKER)
    upgrade.joined("projector", "items", count=2)
    upgrade.answers(upgrade.new_api)
    both_trackers = upgrade.chain(upgrade.account("both-trackers", 30))
    upgrade.finished(both_trackers)
    upgrade.world = replace(upgrade.world, api=upgrade.new_api)
    old.end(*TRACKER)
    upgrade.finished(both_trackers)
    upgrade.finished(upgrade.chain(upgrade.account("new-tracker", 30)))
    reverting = _only_the_new_release_knows(upgrade)

    # Jobs in the middle of which the old processes will end, begun while there are no others.
    pulled, synced = upgrade.account("ends-in-pull", 200), upgrade.account("ends-in-sync", 500)
    listed = upgrade.account("ends-in-dry-run", 500)
    upgrade.slow(pulled, "nhanh")
    upgrade.slow(synced, "shopify", says="inventorySetQuantities")
    upgrade.slow(listed, "shopify", says="VariantsByIds")
    long_chains = [
        upgrade.chain(pulled, page_size=10),
        upgrade.chain(synced),
        upgrade.chain(listed, sync={"dry_run": True}),
    ]
    long_jobs = [
        ("puller", pulled, "PULL_NHANH_PRODUCTS"),
        ("syncer", synced, "PRODUCT_SYNC"),
        ("syncer", listed, "PRODUCT_SYNC"),
    ]
    upgrade.wait(lambda: all(upgrade.under_way(*job) for job in long_jobs), "a pull and two syncs under way")

    # New services beside the old ones: schemas are migrated while the old ones work on them.
    start_workers(new)
    upgrade.joined(*WORKERS, count=2)
    _both_releases_run_jobs(upgrade)

    # The old ones end in the middle of two jobs, while requests come in; the new ones finish everything.
    assert all(upgrade.under_way(*job) for job in long_jobs)
    last = [upgrade.chain(upgrade.account(f"last-{number}", 30)) for number in range(3)]
    old.end(*WORKERS)
    upgrade.world.control("DELETE", "faults")
    upgrade.finished(*long_chains, *last)
    _is_read_when_asked_again(upgrade, reverting)

    log = upgrade.log()
    for service, account, job_type in long_jobs:
        first, second = log.pids[log.job(account, job_type)].values()
        assert (old.pids.get(first), new.pids.get(second)) == (service, service)
    _every_job_ended_once(upgrade, log)
    _counts_are_right(upgrade, log, listed)
    _writes_are_the_hubs(upgrade, listed)
    audited = user.run("audit", "--all")
    assert audited.returncode == 0, audited.stdout + audited.stderr


def _both_releases_run_jobs(upgrade: Upgrade) -> None:
    """Chains until each service has run a job in an old and in a new process.

    Kafka may give all requests of a service to one process, whose workers then are the first to look for a row. Match
    jobs are too short to keep it busy: so they are held until all are there, and each matcher runs one at a time.
    """
    releases = (upgrade.old, upgrade.new)
    expected = {(release, service) for release in releases for service in ("puller", "matcher", "syncer")}
    ran: set[tuple[Release, str]] = set()
    for round_ in range(MOST_ROUNDS):
        accounts = [upgrade.account(f"mixed-{round_}-{number}", 30) for number in range(ACCOUNTS)]
        upgrade.hold_matches()
        chains = [upgrade.chain(account) for account in accounts]
        upgrade.wait(lambda: upgrade.held_matches() == ACCOUNTS, "all matches to wait")
        upgrade.release_matches()
        upgrade.finished(*chains)
        upgrade.finished(upgrade.chain(accounts[0]))  # once more: there is nothing left to write
        pids = {pid for attempts in upgrade.log().pids.values() for pid in attempts.values()}
        ran = {(release, release.pids[pid]) for release in releases for pid in pids & set(release.pids)}
        if expected <= ran:
            return
    pytest.fail(f"in {MOST_ROUNDS} rounds no job was run by {expected - ran}")


def _only_the_new_release_knows(upgrade: Upgrade) -> str:
    """What the last release does with a request that it does not know: its job ends, visibly, and can be retried.

    (From this release on such a request waits, as tests/integration/worker/test_rolling_upgrade.py shows.)
    """
    sync = next(
        job["job_id"]
        for job in upgrade.world.every("/jobs", "jobs", tenant=TENANT, account="all-old")
        if job["type"] == "PRODUCT_SYNC"
    )
    job_id = upgrade.world.request("all-old", "REVERT_SYNC", params={"job_id": sync})
    ended = upgrade.world.finished(job_id)
    assert (ended["outcome"], ended["error"]["category"]) == ("failure", "VALIDATION_FAILED")
    assert "REVERT_SYNC" in ended["error"]["message"]
    letters = upgrade.world.every("/dead-letters", "dead_letters")
    assert [(one["consumer"], "REVERT_SYNC" in one["reason"]) for one in letters] == [("syncer", True)]
    return job_id


def _is_read_when_asked_again(upgrade: Upgrade, job_id: str) -> None:
    """A retry after the upgrade; it has nothing to take back, as the last release kept no values of before."""
    answer = upgrade.world.api.post(f"/jobs/{job_id}/retry")
    assert answer.status_code == 202, answer.text
    ended = upgrade.world.finished(answer.json()["job_id"])
    assert (ended["outcome"], ended["error"]["code"]) == ("failure", "NOTHING_TO_REVERT")


def _every_job_ended_once(upgrade: Upgrade, log: Log) -> None:
    assert {job_id: ids for job_id, ids in log.requested.items() if len(ids) != 1} == {}
    assert set(log.finished) == set(log.requested)
    assert {job_id: ends for job_id, ends in log.finished.items() if len(ends) != 1} == {}
    of_chains = Counter(
        (event.correlationid, event.data.job.type)
        for event in log.described.values()
        if event.correlationid in upgrade.chains and event.data.job.type in TYPES
    )
    assert of_chains == dict.fromkeys(((chain, type_) for chain in upgrade.chains for type_ in TYPES), 1)
    listed = upgrade.world.every("/jobs", "jobs", tenant=TENANT)
    assert Counter(job["job_id"] for job in listed) == dict.fromkeys(log.requested, 1)
    assert {job["state"] for job in listed} == {"finished"}
    for service in {kind.service for kind in JOB_TYPES.values()}:
        with psycopg.connect(upgrade.database) as connection:
            for left in ("inbox where state <> 'finished'", "outbox", "kept_step"):
                assert connection.execute(f"select * from {service}.{left}").fetchall() == []


def _counts_are_right(upgrade: Upgrade, log: Log, listed: str) -> None:
    for chain, account in upgrade.chains.items():
        size = upgrade.sizes[account]
        jobs = {job["type"]: job for job in upgrade.world.every("/jobs", "jobs", tenant=TENANT, chain=chain)}
        assert set(jobs) >= set(TYPES)
        for type_ in TYPES:
            counters = jobs[type_]["counters"]
            found = (counters["processed"], counters["successful"], counters["failed"], counters["skipped"])
            assert found == (size, size, 0, 0), (chain, account, type_, counters)
    for account, size in upgrade.sizes.items():
        matches = upgrade.world.matches(account, "product")
        assert {(row["hub_id"], names.shop_name(row["remote_id"])) for row in matches} == {
            (str(1000 + n), str(1000 + n)) for n in range(1, size + 1)
        }
        changed = "wouldUpdate" if account == listed else "updated"
        syncs = [
            end.data
            for ends in log.finished.values()
            for end in ends
            if (end.data.job.account, end.data.job.type) == (account, "PRODUCT_SYNC")
        ]
        # Only the first run of an account finds something to do.
        assert sorted(end.metadata.get(changed, 0) for end in syncs) == [*([0] * (len(syncs) - 1)), size]


def _writes_are_the_hubs(upgrade: Upgrade, listed: str) -> None:
    """Each field of each item was written once, with the hub's value, and nothing else was."""
    for account, size in upgrade.sizes.items():
        written: dict[tuple[str, str], list[float]] = defaultdict(list)
        for call in upgrade.world.calls(account, 0):
            for item in call["items"]:
                assert item["outcome"] == "accepted", item
                for name, value in names.written_fields(item).items():
                    written[names.shop_name(item["id"]), name].append(float(value))
        hub = {} if account == listed else {"price": 52_000.0, "stock": 7.0}
        assert written == {(str(1000 + n), name): [value] for n in range(1, size + 1) for name, value in hub.items()}, (
            account
        )
