"""Puller, matcher and syncer under kills: their chains end, and the sandbox's raw request log tells what they wrote."""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import psycopg
from tests.chaos.history import describe, now
from tests.chaos.processes import kill
from tests.chaos.result import Result, breaking_off, told
from tests.chaos.worker_verdict import RESUMED, WORKERS, Json, Kill, judge

from jobtrail.demo.command import connect
from jobtrail.demo.plan import TENANT, DemoPlan
from jobtrail.demo.run import Started, follow, start_chains
from jobtrail.home import Home
from jobtrail.ports import Ports
from jobtrail.system import System, running_system
from jobtrail.tracker import Tracker
from local_stack import StackEvent

PHASE = "workers"
_ACCOUNTS = 3
_KILLS_EACH = 4  # then the chains are left alone, so that they end
_BUSY = "SELECT count(*) FROM {schema}.inbox WHERE state = 'running' AND lease_until > now()"
_RECIPE = {"products": 150, "customers": 120}
_SLOW = 0.15  # seconds that each platform's answer takes, so that work can be caught in its middle


def run_workers(folder: Path, seed: str, say: Callable[[str], None] = lambda _: None) -> Result:
    """Run every chain on several accounts while the services are killed one after the other, and judge the outcome.

    Whatever breaks it off is a violation; the requests, the jobs and the kills until then are saved in `folder`.
    """
    result, started = Result(PHASE), now()
    with breaking_off(result, folder):
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            os.environ.pop(name, None)
        home = Home(folder / "home")
        with running_system(home, Ports(), _silent) as system:
            _run(folder, seed, home, system, result, say)
    describe(folder, seed, PHASE, started)
    (folder / "violations.txt").write_text("".join(f"{said}\n" for said in result.violations), "utf-8")
    return result


def _run(folder: Path, seed: str, home: Home, system: System, result: Result, say: Callable[[str], None]) -> None:
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
    jobs: list[Json] = []
    try:
        jobs = follow(tracker, chains, lambda _: None)
    finally:
        over.set()
        killer.join()
        result.kills = result.faults = len(killer.kills)
        result.violations += killer.troubles
        requests = list(_requests(sandbox))
        _lines(folder / "kills.jsonl", (kill._asdict() for kill in killer.kills))
        _lines(folder / "requests.jsonl", requests)
        _lines(folder / "jobs.jsonl", jobs or _jobs(tracker, chains))
    result.violations += judge(jobs, requests, killer.kills, held)


class _Killer(threading.Thread):
    """SIGKILLs a worker every few seconds until the chains are over; the supervisor starts it again."""

    def __init__(
        self, system: System, chance: random.Random, over: threading.Event, say: Callable[[str], None]
    ) -> None:
        super().__init__(name="killer of workers", daemon=True)
        self._system, self._chance, self._over, self._say = system, chance, over, say
        self.kills: list[Kill] = []
        self.troubles: list[str] = []

    def run(self) -> None:
        left: list[str] = [*WORKERS] * _KILLS_EACH
        self._chance.shuffle(left)
        try:
            while left and not self._over.wait(self._chance.uniform(0.2, 1.5)):
                name = self._strike(left)
                if name is not None:
                    left.remove(name)
        except Exception as error:
            self.troubles.append(f"the killer of workers stopped: {told(error)}")

    def _strike(self, names: list[str]) -> str | None:
        """Kill the first of these that is at work; its name."""
        busy = self._busy()
        name = next((name for name in names if name.removesuffix("-agent") in busy), None)
        pid = next((s.pid for s in self._system.stack.services() if s.name == name), None)
        if name is None or pid is None:
            return None  # nothing to disturb, or on its way back from the last time
        began = time.time()
        if not kill(pid):
            return None
        self.kills.append(Kill(name, began, time.time()))
        self._say(f"kill {name}")
        return name

    def _busy(self) -> set[str]:
        """The services that run a job at this moment; none while PostgreSQL has no answer."""
        try:
            with psycopg.connect(self._system.running.database) as connection:
                return {
                    service
                    for service in RESUMED
                    if connection.execute("SELECT to_regclass(%s)", [f"{service}.inbox"]).fetchone() != (None,)
                    and connection.execute(_BUSY.format(schema=service)).fetchone() != (0,)
                }
        except psycopg.OperationalError:
            return set()


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


def _jobs(tracker: Tracker, chains: list[Started]) -> list[Json]:
    """The jobs of chains that have not come to their ends."""
    return [job for chain in chains for job in tracker.jobs(200, tenant=TENANT, chain=chain.chain)]


def _lines(path: Path, rows: Iterable[Json]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _silent(_event: StackEvent) -> None:
    """The run's own progress is enough."""
