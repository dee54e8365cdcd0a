"""The verdict on workers under kills and pauses: from the finished jobs and the platforms' raw request log."""

import json
from collections import Counter, defaultdict
from itertools import pairwise, product
from typing import Any, NamedTuple

KILL, PAUSE = "kill", "pause"
AGENT = "matcher-agent"
WORKERS = ("puller", "matcher", AGENT, "syncer")
# The services that own jobs, and what tells their job types.
RESUMED = {"puller": "PULL_", "matcher": "MATCH_", "syncer": "_SYNC"}
SYNCS = ("PRODUCT_SYNC", "CUSTOMER_SYNC")
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


class Strike(NamedTuple):
    """A worker was seen to die of SIGKILL, or was paused (who owns jobs until another had taken one over).

    Between two moments of the clock that the sandbox goes by.
    """

    worker: str
    action: str
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


def judge(jobs: list[Json], items: list[Json], requests: list[Json], strikes: list[Strike], held: Json) -> list[str]:
    """Violations. `items` are those of the syncs; `requests` and what its shops held come from the sandbox."""
    writes = writes_by_place(requests)
    return [
        *check_scope(writes, strikes),
        *check_jobs(jobs, held, Counter(strike.worker for strike in strikes)),
        *check_writes(writes, [strike for strike in strikes if strike.worker == "syncer"]),
        *check_counts(jobs, items),
        *check_recorded(items, requests),
        *check_requests(jobs, requests),
    ]


def check_scope(writes: dict[Place, list[Write]], strikes: list[Strike]) -> list[str]:
    """The minimums that were not reached."""
    struck = {(strike.worker, strike.action) for strike in strikes}
    found = [
        f"no {action} of a {worker}, so nothing was shown of it"
        for worker, action in product(WORKERS, (KILL, PAUSE))
        if (worker, action) not in struck
    ]
    keyed = {write.keyed for several in writes.values() for write in several}
    if True not in keyed:
        found.append("nothing was written under an idempotency key, so nothing was shown of it")
    if False not in keyed:
        found.append("nothing was written without an idempotency key, so nothing was shown of it")
    return found


def check_jobs(jobs: list[Json], held: Json, strikes: Counter[str]) -> list[str]:
    """Every job ends well, every pull counts what its platform holds, and work that was struck was resumed."""
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
        if strikes[service] and max(attempts, default=0) < 2:
            found.append(f"no job of the {service} was resumed after {strikes[service]} strikes, so nothing was shown")
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


def check_writes(writes: dict[Place, list[Write]], strikes: list[Strike]) -> list[str]:
    """Under an idempotency key once; elsewhere again only where a strike came between; and always the same values."""
    found: list[str] = []
    for place, several in writes.items():
        name = " ".join(filter(None, place))
        if several[0].keyed and len(several) > 1:
            found.append(f"{name} was written {len(several)} times under an idempotency key")
        elif not _excused(several, strikes):
            found.append(f"{name} was written {len(several)} times, and not for every time more was its writer struck")
        if len({json.dumps(write.item.get("values"), sort_keys=True) for write in several}) > 1:
            found.append(f"{name} was written with different values")
    return found


def _excused(writes: list[Write], strikes: list[Strike]) -> bool:
    """Whether between each write and the next lies a strike, one for each."""
    left = sorted(strikes, key=lambda strike: strike.began)
    for first, second in pairwise(writes):
        between = (one for one in left if one.ended >= first.began - _ON_THE_WAY and one.began <= second.ended)
        strike = next(between, None)
        if strike is None:
            return False
        left.remove(strike)
    return True


def check_counts(jobs: list[Json], items: list[Json]) -> list[str]:
    """A sync's count of updates equals its items."""
    recorded = Counter((item["account"], item["job_id"]) for item in items if item["action"] == "updated")
    return [
        f"{job['type']} of {job['account']} says {job['metadata'].get('updated')} updated, its items tell {seen}"
        for job in jobs
        if job["type"] in SYNCS and job["metadata"].get("updated") != (seen := recorded[job["account"], job["job_id"]])
    ]


def check_recorded(items: list[Json], requests: list[Json]) -> list[str]:
    """For each account and field, the recorded changes equal the writes to the platform."""
    updated = [item for item in items if item["action"] == "updated"]
    recorded = Counter((item["account"], change["name"]) for item in updated for change in item["changes"])
    written: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in requests:
        for item in entry["items"]:
            if item["outcome"] == "accepted":
                for field in _fields(item["values"]):
                    written[entry["account"], field].add(item["id"])
    return [
        f"{field} of {account} has {recorded[account, field]} recorded changes and {seen} writes"
        for account, field in sorted({*recorded, *written})
        if recorded[account, field] != (seen := len(written[account, field]))
    ]


def check_requests(jobs: list[Json], requests: list[Json]) -> list[str]:
    """A job reports at most the requests that the platform received; a strike loses those of the open page."""
    recorded: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        platform = "nhanh" if "PULL_NHANH" in job["type"] else "shopify"
        recorded[job["account"], platform] += job["metadata"].get("requests", 0)
    had = Counter((entry["account"], entry["platform"]) for entry in requests)
    return [
        f"jobs of {account} tell of {number} requests, {platform} had {had[account, platform]}"
        for (account, platform), number in recorded.items()
        if number > had[account, platform]
    ]


def _fields(values: Json) -> set[str]:
    """What Jobtrail calls the fields that a request wrote to a record."""
    if "locationId" in values:
        return {f"stock@{values['locationId']}"}
    if "name" in values:
        return {values["name"]}  # of a metafield
    return {"name" if field in {"firstName", "lastName"} else field for field in values}
