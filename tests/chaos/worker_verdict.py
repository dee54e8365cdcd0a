"""What the workers did under kills: by the jobs they ended, and by the raw log of what the platforms were asked."""

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any, NamedTuple

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
_ON_THE_WAY = 5.0  # seconds that a request of a process that was killed may take to a busy sandbox
Json = dict[str, Any]
Place = tuple[str, ...]


class Kill(NamedTuple):
    """A worker that was seen to die of SIGKILL, between two moments of the clock that the sandbox goes by."""

    worker: str
    began: float
    ended: float


class Write(NamedTuple):
    """One item that a platform accepted, and when its request was there (seconds of the sandbox's clock)."""

    began: float
    ended: float
    item: Json

    @property
    def keyed(self) -> bool:
        return bool(self.item.get("idempotency_key"))


def judge(jobs: list[Json], requests: list[Json], kills: list[Kill], held: Json) -> list[str]:
    """Violations. `requests` is the sandbox's log, `held` what it says its shops hold."""
    writes = writes_by_place(requests)
    return [
        *check_scope(writes, kills),
        *check_jobs(jobs, held, Counter(kill.worker for kill in kills)),
        *check_writes(writes, [kill for kill in kills if kill.worker == "syncer"]),
        *check_counts(jobs, writes),
    ]


def check_scope(writes: dict[Place, list[Write]], kills: list[Kill]) -> list[str]:
    """Whether enough has happened for the rest to mean anything."""
    killed = {kill.worker for kill in kills}
    found = [f"no {worker} was killed, so nothing was shown of it" for worker in WORKERS if worker not in killed]
    keyed = {write.keyed for several in writes.values() for write in several}
    if True not in keyed:
        found.append("nothing was written under an idempotency key, so nothing was shown of it")
    if False not in keyed:
        found.append("nothing was written without an idempotency key, so nothing was shown of it")
    return found


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
        if kills[service] and max(attempts, default=0) < 2:
            found.append(f"no job of the {service} was resumed after {kills[service]} kills, so nothing was shown")
    return found


def writes_by_place(requests: list[Json]) -> dict[Place, list[Write]]:
    """What was accepted, oldest first, by what it wrote to: account, kind, item and, where it has several, which."""
    places: dict[Place, list[Write]] = defaultdict(list)
    for entry in requests:
        for item in entry["items"]:
            if item["outcome"] == "accepted":
                values = item.get("values", {})
                part = str(values.get("name") or values.get("locationId") or "")
                write = Write(entry["time"] - entry["duration_ms"] / 1000, entry["time"], item)
                places[entry["account"], item["kind"], item["id"], part].append(write)
    return places


def check_writes(writes: dict[Place, list[Write]], kills: list[Kill]) -> list[str]:
    """Under an idempotency key once; elsewhere again only where a kill came between; and always the same values."""
    found: list[str] = []
    for place, several in writes.items():
        name = " ".join(filter(None, place))
        if several[0].keyed and len(several) > 1:
            found.append(f"{name} was written {len(several)} times under an idempotency key")
        elif not _excused(several, kills):
            found.append(f"{name} was written {len(several)} times, and not for every time more was its writer killed")
        if len({json.dumps(write.item.get("values"), sort_keys=True) for write in several}) > 1:
            found.append(f"{name} was written with different values")
    return found


def _excused(writes: list[Write], kills: list[Kill]) -> bool:
    """Whether between each write and the next lies a kill, one for each."""
    left = sorted(kills, key=lambda kill: kill.began)
    for first, second in pairwise(writes):
        between = (one for one in left if one.ended >= first.began - _ON_THE_WAY and one.began <= second.ended)
        kill = next(between, None)
        if kill is None:
            return False
        left.remove(kill)
    return True


def check_counts(jobs: list[Json], writes: dict[Place, list[Write]]) -> list[str]:
    """What the customer syncs say they updated is what the platform was written to."""
    written: dict[str, set[str]] = defaultdict(set)
    for account, kind, record, _ in writes:
        if "ustomer" in record and kind:
            written[account].add(record)
    return [
        f"CUSTOMER_SYNC of {job['account']} says {job['metadata']['updated']} updated, the platform saw {seen}"
        for job in jobs
        if job["type"] == "CUSTOMER_SYNC" and job["metadata"].get("updated") != (seen := len(written[job["account"]]))
    ]
