"""Requests both chains and follows them to their ends, whatever dies and comes back in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec import to_builtins
from uuid_utils import uuid7

from job_events.job_types import CHAINS, Chain
from jobtrail.demo.plan import TENANT
from jobtrail.errors import TrackerUnreachable, UserError
from jobtrail.tracker import Json, Tracker

Answer = TypeVar("Answer")
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 900.0
"""Without any news for this long the demo gives up; a platform that is down for minutes must not end it."""


@dataclass(frozen=True, slots=True)
class Started:
    """A chain under way: its id and the job types it will have run when it is over."""

    name: str
    chain: str
    types: tuple[str, ...]


def start_chains(tracker: Tracker, account: str) -> list[Started]:
    """Request the first jobs of every chain."""
    return [_start(tracker, account, name, chain) for name, chain in CHAINS.items()]


def _start(tracker: Tracker, account: str, name: str, chain: Chain) -> Started:
    chain_id = str(uuid7())
    types = list(chain.first)
    steps = list(chain.then)
    while steps:
        step = steps.pop(0)
        types.append(step.type)
        steps.extend(step.then)
    for job_type in chain.first:
        body = {
            "type": job_type,
            "tenant": TENANT,
            "account": account,
            "chain": chain_id,
            "then": to_builtins(chain.then),
        }
        patiently(lambda body=body: tracker.post("/jobs", body, idempotency_key=f"{chain_id}/{body['type']}"))
    return Started(name, chain_id, tuple(types))


def follow(tracker: Tracker, chains: list[Started], show: Callable[[list[Json]], None]) -> list[Json]:
    """Poll until every job type of every chain has finished; returns every job in full, in the order of the chains.

    Raises:
        Refused: nothing moved for PATIENCE_SECONDS.
    """
    order = {name: position for position, name in enumerate(t for chain in chains for t in chain.types)}
    seen: list[Json] = []
    moved = time.monotonic()
    while True:
        jobs = patiently(
            lambda: [job for chain in chains for job in tracker.jobs(200, tenant=TENANT, chain=chain.chain)]
        )
        jobs.sort(key=lambda job: order.get(job["type"], len(order)))
        show(jobs)
        if jobs != seen:
            seen, moved = jobs, time.monotonic()
        if all(_over(chain, jobs) for chain in chains):
            return [patiently(lambda job=job: tracker.job(job["job_id"])) for job in jobs]
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise UserError(f"Nothing has moved for {PATIENCE_SECONDS:.0f} s; the services' logs tell why")
        time.sleep(POLL_SECONDS)


def _over(chain: Started, jobs: list[Json]) -> bool:
    finished = {job["type"] for job in jobs if job["chain"] == chain.chain and job["state"] == "finished"}
    return finished.issuperset(chain.types)


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask again while the API does not answer: it may have been killed and be on its way back."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except TrackerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
