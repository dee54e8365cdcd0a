"""Puller, matcher and syncer under kills: their chains end, and the sandbox's raw request log tells what they wrote."""

import json
import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tests.chaos.run import Result

from jobtrail.demo.command import connect
from jobtrail.demo.plan import DemoPlan
from jobtrail.demo.run import follow, start_chains
from jobtrail.home import Home
from jobtrail.ports import Ports
from jobtrail.system import System, running_system
from jobtrail.tracker import Tracker
from local_stack import StackEvent

WORKERS = ("puller", "matcher", "matcher-agent", "syncer")
# The services that own jobs, and what tells their job types.
RESUMED = {"puller": "PULL_", "matcher": "MATCH_", "syncer": "_SYNC"}
# Each kind of pull, its platform, and what the sandbox calls the number of items that the platform lists.
PULLS = {
    "PULL_NHANH_PRODUCTS": ("nhanh", "rows"),
    "PULL_NHANH_CUSTOMERS": ("nhanh", "customers"),
    "PULL_SHOPIFY_PRODUCTS": ("shopify", "products"),
    "PULL_SHOPIFY_CUSTOMERS": ("shopify", "customers"),
}
_ACCOUNTS = 3
_KILLS_EACH = 4  # then the chains are left alone, so that they end
_BUSY = "SELECT count(*) FROM {schema}.inbox WHERE state = 'running' AND lease_until > now()"
_RECIPE = {"products": 150, "customers": 120}
_SLOW = 0.15  # seconds that each platform's answer takes, so that work can be caught in its middle
Json = dict[str, Any]


def run_workers(folder: Path, seed: str, say: Callable[[str], None] = lambda _: None) -> Result:
    """Run every chain on several accounts while the services are killed one after the other, and judge the outcome."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
        os.environ.pop(name, None)
    home = Home(folder / "home")
    with running_system(home, Ports(), _silent) as system:
        sandbox = httpx.Client(base_url=f"{system.running.sandbox}/_sandbox", timeout=120, trust_env=False)
        accounts = [f"chaos-{number}" for number in range(_ACCOUNTS)]
        for number, account in enumerate(accounts):
            _open_shop(sandbox, system, home, account, number)
        held = sandbox.get("/shops").raise_for_status().json()["accounts"]
        tracker = Tracker(system.running.api, actor="chaos")
        chains = [chain for account in accounts for chain in start_chains(tracker, account)]
        over = threading.Event()
        killer = _Killer(system, random.Random(f"{seed}/workers"), over, say)  # noqa: S311 - reproducible, not secret
        killer.start()
        try:
            jobs = follow(tracker, chains, lambda _: None)
        finally:
            over.set()
            killer.join()
        log = list(_requests(sandbox))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requests.jsonl").write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in log))
    (folder / "jobs.jsonl").write_text("".join(json.dumps(job, ensure_ascii=False) + "\n" for job in jobs))
    result = Result("workers", kills=sum(killer.kills.values()), faults=sum(killer.kills.values()))
    result.violations += check_jobs(jobs, held, killer.kills)
    result.violations += check_writes(log, killer.kills["syncer"])
    result.violations += check_counts(jobs, log)
    return result


class _Killer(threading.Thread):
    """SIGKILLs a worker every few seconds until the chains are over; the supervisor starts it again."""

    def __init__(
        self, system: System, chance: random.Random, over: threading.Event, say: Callable[[str], None]
    ) -> None:
        super().__init__(name="killer of workers", daemon=True)
        self._system, self._chance, self._over, self._say = system, chance, over, say
        self.kills: Counter[str] = Counter()

    def run(self) -> None:
        left = list(WORKERS) * _KILLS_EACH
        self._chance.shuffle(left)
        while left and not self._over.wait(self._chance.uniform(0.2, 1.5)):
            busy = self._busy()
            name = next((name for name in left if name.removesuffix("-agent") in busy), None)
            pid = next((s.pid for s in self._system.stack.services() if s.name == name), None)
            if name is None or pid is None:
                continue  # nothing to disturb, or on its way back from the last time
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            left.remove(name)
            self.kills[name] += 1
            self._say(f"kill {name}")

    def _busy(self) -> set[str]:
        """The services that run a job at this moment."""
        with psycopg.connect(self._system.running.database) as connection:
            return {
                service
                for service in RESUMED
                if connection.execute("SELECT to_regclass(%s)", [f"{service}.inbox"]).fetchone() != (None,)
                and connection.execute(_BUSY.format(schema=service)).fetchone() != (0,)
            }


def _open_shop(sandbox: httpx.Client, system: System, home: Home, account: str, number: int) -> None:
    recipe = {**_RECIPE, "seed": number + 1}
    body = {"account": account, "nhanh": recipe, "shopify": recipe}
    load = sandbox.post("/shops", json=body).raise_for_status().json()
    plan = {"bucket": 20_000, "restore_rate": 1000}
    sandbox.patch(f"/shops/{account}/shopify", json=plan).raise_for_status()
    for platform in ("nhanh", "shopify"):
        fault = {"platform": platform, "account": account, "kind": "slow", "seconds": _SLOW}
        sandbox.post("/faults", json=fault).raise_for_status()
    connect(system.running.database, home, DemoPlan(account, None, None), load)


def _requests(sandbox: httpx.Client) -> Iterator[Json]:
    """The raw log of all requests, oldest first."""
    after = 0
    while entries := sandbox.get("/requests", params={"after": after}).raise_for_status().json():
        yield from entries
        after = entries[-1]["seq"]


def check_jobs(jobs: list[Json], held: Json, kills: Counter[str]) -> list[str]:
    """Every job ends well, every pull counts what its platform holds, and killed work was resumed."""
    found = [
        f"{job['type']} of {job['account']} ended as {job['state']} {job['outcome']}: {job.get('error')}"
        for job in jobs
        if job["state"] != "finished" or job["outcome"] not in {"success", "partial"}
    ]
    for job in jobs:
        if job["type"] in PULLS:
            platform, kind = PULLS[job["type"]]
            there, counted = held[job["account"]][platform]["records"][kind], job["counters"]["successful"]
            if counted != there:
                found.append(f"{job['type']} of {job['account']} counted {counted} of {there}")
    for service, mark in RESUMED.items():
        attempts = [job["attempt"] for job in jobs if mark in job["type"]]
        if kills[service] and max(attempts) < 2:
            found.append(f"no job of the {service} was resumed after {kills[service]} kills, so nothing was shown")
    return found


def writes_by_place(log: list[Json]) -> dict[tuple[str, ...], list[Json]]:
    """What was accepted, by what it wrote to: account, kind, item and, where an item has several, which."""
    places: dict[tuple[str, ...], list[Json]] = defaultdict(list)
    for entry in log:
        for item in entry["items"]:
            if item["outcome"] == "accepted":
                values = item.get("values", {})
                part = str(values.get("name") or values.get("locationId") or "")
                places[entry["account"], item["kind"], item["id"], part].append(item)
    return places


def check_writes(log: list[Json], kills: int) -> list[str]:
    """Under an idempotency key once; elsewhere at most once more a kill; and always the same values."""
    found: list[str] = []
    for place, writes in writes_by_place(log).items():
        name = " ".join(filter(None, place))
        most = 1 if writes[0].get("idempotency_key") else 1 + kills
        if len(writes) > most:
            found.append(f"{name} was written {len(writes)} times, at most {most} are allowed")
        if len({json.dumps(item.get("values"), sort_keys=True) for item in writes}) > 1:
            found.append(f"{name} was written with different values")
    return found


def check_counts(jobs: list[Json], log: list[Json]) -> list[str]:
    """What the customer syncs say they updated is what the platform was written to."""
    written: dict[str, set[str]] = defaultdict(set)
    for account, kind, record, _ in writes_by_place(log):
        if "ustomer" in record and kind:
            written[account].add(record)
    return [
        f"CUSTOMER_SYNC of {job['account']} says {job['metadata']['updated']} updated, the platform saw {seen}"
        for job in jobs
        if job["type"] == "CUSTOMER_SYNC" and job["metadata"].get("updated") != (seen := len(written[job["account"]]))
    ]


def _silent(_event: StackEvent) -> None:
    """The run's own progress is enough."""
