"""Requests both chains and follows them to their ends, also while services restart."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec import to_builtins
from uuid_utils import uuid7

from job_events.chains import CHAINS, Chain
from jobtrail.demo.plan import TENANT
from jobtrail.errors import TrackerUnreachable, UserError
from jobtrail.tracker import Json, Tracker

Answer = TypeVar("Answer")
STARTED = ("products", "customers")
"""The chains that a demo starts; `next_day` runs the jobs of an ordinary day."""
POLL_SECONDS = 0.5
IDLE_TIMEOUT = 900.0
"""Seconds without a change after which the demo gives up; a platform may be down for minutes."""


@dataclass(frozen=True, slots=True)
class RunningChain:
    """A requested chain: its id and all job types that it runs."""

    name: str
    chain: str
    types: tuple[str, ...]


def start_chains(tracker: Tracker, account: str) -> list[RunningChain]:
    """Request the first jobs of the chains in STARTED."""
    return [_start(tracker, account, name, CHAINS[name]) for name in STARTED]


def _start(tracker: Tracker, account: str, name: str, chain: Chain) -> RunningChain:
    chain_id = str(uuid7())
    for job in chain.first:
        body = {
            "type": job.type,
            "tenant": TENANT,
            "account": account,
            "params": job.params,
            "chain": chain_id,
            "then": to_builtins(chain.then),
        }
        retry_while_unreachable(
            lambda body=body: tracker.post("/jobs", body, idempotency_key=f"{chain_id}/{body['type']}")
        )
    return RunningChain(name, chain_id, chain.types())


def follow(tracker: Tracker, chains: list[RunningChain], show: Callable[[list[Json]], None]) -> list[Json]:
    """Poll until every job type of every chain has finished; returns every job in full, in the order of the chains.

    Raises:
        UserError: no job changed for IDLE_TIMEOUT.
    """
    order = {name: position for position, name in enumerate(t for chain in chains for t in chain.types)}
    seen: list[Json] = []
    moved = time.monotonic()
    while True:
        jobs = retry_while_unreachable(
            lambda: [job for chain in chains for job in tracker.jobs(200, tenant=TENANT, chain=chain.chain)]
        )
        jobs.sort(key=lambda job: order.get(job["type"], len(order)))
        show(jobs)
        if jobs != seen:
            seen, moved = jobs, time.monotonic()
        if all(_over(chain, jobs) for chain in chains):
            return [retry_while_unreachable(lambda job=job: tracker.job(job["job_id"])) for job in jobs]
        if time.monotonic() - moved > IDLE_TIMEOUT:
            raise UserError(f"No job has changed for {IDLE_TIMEOUT:.0f} s; see the logs of the services")
        time.sleep(POLL_SECONDS)


def _over(chain: RunningChain, jobs: list[Json]) -> bool:
    finished = {job["type"] for job in jobs if job["chain"] == chain.chain and job["state"] == "finished"}
    return finished.issuperset(chain.types)


def retry_while_unreachable(request: Callable[[], Answer]) -> Answer:
    """Repeat a request while the API does not answer, because it may be restarting."""
    deadline = time.monotonic() + IDLE_TIMEOUT
    while True:
        try:
            return request()
        except TrackerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
