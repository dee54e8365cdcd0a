"""A chain of simulated jobs through all services, and the checks of what the tracker shows of it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from rich.table import Table
from rich.text import Text

from job_events.job_params import SimulateParams
from job_events.job_types import JOB_TYPES
from jobtrail.answers import Queues
from jobtrail.errors import UserError
from jobtrail.queues import hold_text
from jobtrail.tracker import LATE_SECONDS, Json, Tracker, job_path, staleness

CANARY = "canary"
"""Tenant and account of simulated jobs, so that they are no merchant's."""
POLL_SECONDS = 0.5
MOST_EVENTS = 1000  # of one timeline


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """A job of the chain: its items, and how many of them fail."""

    job_type: str
    items: int
    failed: int

    @property
    def outcome(self) -> str:
        return "partial" if self.failed else "success"

    @property
    def params(self) -> Json:
        return {"items": self.items, "per_second": 0, "failed": self.failed / self.items}


@dataclass(frozen=True, slots=True)
class CanaryCheck:
    """One thing that was checked of a job, or of the table."""

    job: str
    name: str
    passed: bool
    detail: str


STEPS = (CanaryStep("SIMULATE_PULL", 40, 4), CanaryStep("SIMULATE_MATCH", 30, 0), CanaryStep("SIMULATE_SYNC", 20, 5))


def simulation_of(service: str) -> str:
    """The type of the simulated job that a service runs.

    Raises:
        UserError: there is no such service.
    """
    types = {kind.service: kind.name for kind in JOB_TYPES.values() if kind.params is SimulateParams}
    if service not in types:
        raise UserError(f"Unknown service {service!r}; known are {', '.join(types)}")
    return types[service]


def run_canary(
    tracker: Tracker,
    tenant: str,
    account: str,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> list[CanaryCheck]:
    """Request the chain, follow it for `timeout` seconds at most, and check it. What has not ended then is cancelled.

    Raises:
        UserError: the tracker refuses the chain, or does not answer.
    """
    deadline = clock() + timeout
    answer = tracker.post("/jobs", _request(tenant, account))
    first, chain = answer["job_id"], answer.get("chain")
    jobs: dict[str, Json] = {}
    while True:
        jobs = {job["type"]: job for job in tracker.jobs(len(STEPS) + 1, chain=chain)}
        finished = [step for step in STEPS if jobs.get(step.job_type, {}).get("state") == "finished"]
        if len(finished) == len(STEPS) or clock() >= deadline:
            break
        wait(POLL_SECONDS)
    checks: list[CanaryCheck] = []
    parent: str | None = None
    for step in STEPS:
        job = jobs.get(step.job_type)
        if job is None or job["state"] != "finished":
            checks.append(CanaryCheck(step.job_type, "state", False, _unfinished(tracker, step, job, timeout)))
            if job is not None:
                tracker.command(job_path(job["job_id"], "cancel"), "jobtrail jobs verify has given up")
            break
        while len(_failed_items(tracker, job)) < step.failed and clock() < deadline:
            wait(POLL_SECONDS)  # items are read from their own topic
        checks += [
            CanaryCheck(step.job_type, "state", True, "finished"),
            *_job_checks(tracker, step, job),
            _chain_check(step, job, chain, first if parent is None else None, parent),
        ]
        parent = job["job_id"]
    return [*checks, _freshness_check(tracker)]


def _request(tenant: str, account: str) -> Json:
    then: list[Json] = []
    for before, step in reversed(list(pairwise(STEPS))):
        then = [{"type": step.job_type, "needs": [before.job_type], "params": step.params, "then": then}]
    first = STEPS[0]
    return {"type": first.job_type, "tenant": tenant, "account": account, "params": first.params, "then": then}


def _unfinished(tracker: Tracker, step: CanaryStep, job: Json | None, timeout: float) -> str:
    """Why a job has not ended, as far as the tracker knows."""
    state = "is not in the table" if job is None else f"is {job['state']} (health: {job.get('health') or 'unknown'})"
    said = f"{state} after {timeout:g} s"
    service = JOB_TYPES[step.job_type].service
    with suppress(UserError):
        for queue in tracker.read("/queues", Queues).queues:
            if queue.service != service:
                continue
            if not queue.available:
                said += f"; {service} has never started"
            for hold in queue.holds:
                if hold.kind == "queue":
                    said += f"; the queue of {service} is paused: {hold_text(hold)}"
    return said


def _job_checks(tracker: Tracker, step: CanaryStep, job: Json) -> list[CanaryCheck]:
    counters = job["counters"]
    counted = {name: counters.get(name) for name in ("total", "processed", "successful", "failed", "skipped")}
    wanted = {
        "total": step.items,
        "processed": step.items,
        "successful": step.items - step.failed,
        "failed": step.failed,
        "skipped": 0,
    }
    items = _failed_items(tracker, job)
    names = [item["item"] for item in items]
    events = [event for event in tracker.history(job["job_id"], MOST_EVENTS).events if event["verdict"] == "applied"]
    order = ", ".join(event["type"].removeprefix("job.").removesuffix(".v1") for event in events)

    def compared(name: str, found: object, expected: object) -> CanaryCheck:
        said = str(found) if found == expected else f"{found}, not {expected}"
        return CanaryCheck(step.job_type, name, found == expected, said)

    return [
        compared("outcome", job.get("outcome"), step.outcome),
        CanaryCheck(
            step.job_type,
            "counters",
            counted == wanted,
            "; ".join(
                f"{name} {counted[name]}" + ("" if counted[name] == wanted[name] else f", not {wanted[name]}")
                for name in wanted
            ),
        ),
        compared("failed items", len(items) if len(set(names)) == len(names) else names, step.failed),
        CanaryCheck(step.job_type, "timeline", _in_order(events), order or "no event"),
    ]


def _failed_items(tracker: Tracker, job: Json) -> list[Json]:
    return tracker.items(job["job_id"], STEPS[0].items * 2, action=["failed"])[0]


def _in_order(events: Sequence[Json]) -> bool:
    """Requested first, started before finished, finished last; attempts and sequence numbers rise.

    A progress may reach the log before the start of its attempt, which comes from the outbox.
    """
    if not events or events[0]["type"] != "job.requested.v1" or events[-1]["type"] != "job.finished.v1":
        return False
    keys = [(event.get("attempt"), event.get("seq")) for event in events[1:]]
    if any(None in key for key in keys) or len(set(keys)) != len(keys) or max(keys) != keys[-1]:
        return False
    stored = [event for event in events[1:] if event["type"] != "job.progress.v1"]
    order = [(event["attempt"], event["seq"]) for event in stored]
    starts = {event["type"] for event in stored[:-1]}
    return starts == {"job.started.v1"} and order == sorted(order)


def _chain_check(step: CanaryStep, job: Json, chain: str | None, first: str | None, parent: str | None) -> CanaryCheck:
    """first: the id of the requested job, where this is the first one of the chain."""
    wrong: list[str] = []
    if job.get("chain") != chain:
        wrong.append(f"chain {job.get('chain')}, not {chain}")
    if job.get("parent") != parent:
        wrong.append(f"follows {job.get('parent')}, not {parent}")
    if first is not None and job["job_id"] != first:
        wrong.append(f"is {job['job_id']}, not {first}")
    return CanaryCheck(step.job_type, "chain", not wrong, "; ".join(wrong) or "follows its parent")


def _freshness_check(tracker: Tracker) -> CanaryCheck:
    stale = staleness(tracker.freshness) if tracker.freshness else "the tracker has sent no freshness"
    return CanaryCheck("job table", "freshness", not stale, stale or f"less than {LATE_SECONDS:g} s behind the log")


def checks_table(checks: Sequence[CanaryCheck]) -> Table:
    """All checks with their results."""
    table = Table(header_style="bold")
    for name in ("Job", "CanaryCheck"):
        table.add_column(name, no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("Found", overflow="fold")
    for check in checks:
        result = Text("passed", style="green") if check.passed else Text("failed", style="red")
        table.add_row(Text(check.job), Text(check.name), result, Text(check.detail))
    return table
