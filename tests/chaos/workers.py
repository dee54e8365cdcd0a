"""Puller, matcher and syncer under kills and pauses: their chains end, and the sandbox's raw request log shows what
they wrote.
"""

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
from tests.chaos.history import describe, now
from tests.chaos.result import Result, breaking_off
from tests.chaos.strikes import Striker, second
from tests.chaos.waiting import until
from tests.chaos.worker_verdict import KILL, SYNCS, WORKERS, Json, judge

from jobtrail.demo.account import connect
from jobtrail.demo.plan import TENANT, DemoPlan
from jobtrail.demo.run import RunningChain, follow, start_chains
from jobtrail.home import Home, Ports
from jobtrail.system import READY_SECONDS, System, running_system, services
from jobtrail.tracker import Tracker
from local_stack import StackEvent

PHASE = "workers"
_ACCOUNTS = 3
_RECIPE = {"products": 150, "customers": 120}
_ITEMS = 10_000  # more than a job has
_SLOW = 0.15  # seconds that each platform's answer takes, so that work can be caught in its middle


def run_workers(folder: Path, seed: str, say: Callable[[str], None] = lambda _: None) -> Result:
    """Run every chain on several accounts while one worker after the other is killed or paused, and judge the outcome.

    Whatever breaks it off is a violation; the requests, the jobs and the strikes until then are saved in `folder`.
    """
    result, started = Result(PHASE), now()
    with breaking_off(result, folder):
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            os.environ.pop(name, None)
        home = Home(folder / "home")
        with running_system(home, Ports(), _silent) as system:
            workers = [spec for spec in services(system.running, home) if spec.name in WORKERS]
            system.stack.start_services([replace(spec, name=second(spec.name)) for spec in workers])
            system.stack.wait_ready(READY_SECONDS)
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
    striker = Striker(system, random.Random(f"{seed}/workers"), say)  # noqa: S311 - reproducible, not secret
    jobs: list[Json] = []
    items: list[Json] = []
    try:
        with striker.striking():
            jobs = follow(tracker, chains, lambda _: None)
        items = [item for job in jobs if job["type"] in SYNCS for item in _items(tracker, job)]
    finally:
        result.kills, result.faults = sum(s.action == KILL for s in striker.strikes), len(striker.strikes)
        result.violations += striker.problems
        requests = list(_requests(sandbox))
        _lines(folder / "strikes.jsonl", (strike._asdict() for strike in striker.strikes))
        _lines(folder / "requests.jsonl", requests)
        _lines(folder / "jobs.jsonl", jobs or _jobs(tracker, chains))
        _lines(folder / "items.jsonl", items)
    result.violations += judge(jobs, items, requests, striker.strikes, held)


def _open_shop(sandbox: httpx.Client, system: System, home: Home, account: str, number: int) -> None:
    recipe = {**_RECIPE, "seed": number + 1}
    body = {"account": account, "nhanh": recipe, "shopify": recipe}
    load = sandbox.post("/shops", json=body).raise_for_status().json()
    plan = {"bucket": 20_000, "restore_rate": 1000}
    sandbox.patch(f"/shops/{account}/shopify", json=plan).raise_for_status()
    for platform in ("nhanh", "shopify"):
        fault = {"platform": platform, "account": account, "kind": "slow", "seconds": _SLOW}
        sandbox.post("/faults", json=fault).raise_for_status()
    connect(system.running.database, home, DemoPlan(account, None, None), load, None)


def _requests(sandbox: httpx.Client) -> Iterator[Json]:
    """The raw log of all requests, oldest first."""
    after = 0
    while entries := sandbox.get("/requests", params={"after": after}).raise_for_status().json():
        yield from entries
        after = entries[-1]["seq"]


def _jobs(tracker: Tracker, chains: list[RunningChain]) -> list[Json]:
    """The jobs of chains that have not come to their ends."""
    return [job for chain in chains for job in tracker.jobs(200, tenant=TENANT, chain=chain.chain)]


def _items(tracker: Tracker, job: Json) -> list[Json]:
    """What happened to the items of a job, once the table of items, which comes later, has all that it updated."""
    found: list[Json] = []

    def complete() -> bool:
        found[:] = tracker.items(job["job_id"], _ITEMS)[0]
        return sum(item["action"] == "updated" for item in found) >= job["metadata"].get("updated", 0)

    until(complete)  # where it never is, the verdict tells
    return [{"account": job["account"], "job_id": job["job_id"], **item} for item in found]


def _lines(path: Path, rows: Iterable[Json]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _silent(_event: StackEvent) -> None:
    """The run's own progress is enough."""
