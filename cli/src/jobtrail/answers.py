"""The parts of the tracker's answers that commands read, as types. An answer that lacks one is refused.

Other fields are not declared, so that a newer tracker may add fields.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Moment = Annotated[datetime, Meta(tz=True)]
Names = dict[str, str] | None


class Counters(Struct):
    total: Number | None
    processed: Number
    failed: Number
    skipped: Number


class Error(Struct):
    category: str
    message: str


class Job(Struct):
    """A job of a list or a page; fields that only some answers hold have a default."""

    job_id: str
    type: str
    account: str
    status: str
    state: Literal["queued", "running", "finished"]
    counters: Counters
    created_at: Moment
    tenant: str | None = None
    outcome: str | None = None
    health: str | None = None
    phase: str | None = None
    error: Error | None = None
    error_category: str | None = None
    error_code: str | None = None
    held: Count | None = None
    params: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    duration_ms: Number | None = None
    eta_seconds: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class JobAnswer(Struct):
    job: Job


class Scanned(Struct):
    created_at: str


class JobsPage(Struct):
    jobs: list[Job]
    total_text: str
    next: str | None
    partial: bool = False
    scanned_to: Scanned | None = None


class TimelineEvent(Struct):
    time: str
    type: str
    verdict: str
    attempt: Number | None = None
    seq: Number | None = None


class EventsPage(Struct):
    events: list[TimelineEvent]
    next: str | None
    total: Count
    total_exact: bool


class Change(Struct):
    name: str


class About(Struct):
    title: str | None = None
    sku: str | None = None
    linked_by: str | None = None
    note: str | None = None


class Item(Struct):
    item: str
    action: str
    changes: list[Change]
    error: Error | None = None
    ids: Names = None
    held: str | None = None
    about: About | None = None


class ItemsPage(Struct):
    items: list[Item]
    next: str | None


class Known(Struct):
    title: str | None = None
    sku: str | None = None


class Match(Struct):
    platform: str
    hub_id: str
    remote_id: str
    status: str
    method: str
    score: Number | float | None = None
    reason: str | None = None
    hub: Known | None = None
    remote: Known | None = None


class MatchesPage(Struct):
    matches: list[Match]
    next: str | None
    total_text: str


class Accepted(Struct):
    """The answer to a request for a job."""

    job_id: str


class Deletion(Struct):
    """One page of jobs of a deletion: how many were looked at and deleted; `total` is of all pages."""

    deleted: Count
    checked: Count
    next: str | None
    total: Count
    total_exact: bool


class DeadLetterEntry(Struct):
    consumer: str
    reason: str


class DeadLettersPage(Struct):
    dead_letters: list[DeadLetterEntry]
    total_text: str = ""


class Hold(Struct):
    kind: str
    tenant: str
    account: str
    requested_by: str
    since: str
    reason: str | None = None


class WaitingReason(Struct):
    reason: str
    count: Count


class WaitingForUpgrade(Struct):
    total: Count
    reasons: list[WaitingReason]


class Queue(Struct):
    """`available` is false for a service that has never started."""

    service: str
    holds: list[Hold]
    available: bool = True
    queued: Count = 0
    running: Count = 0
    paused: Count = 0
    oldest_waiting_seconds: Seconds | None = None
    waiting_for_upgrade: WaitingForUpgrade | None = None


class Queues(Struct):
    queues: list[Queue]


class TypeStats(Struct):
    job_type: str
    status: str
    jobs: Count
    processed: int
    failed: int
    skipped: int


class Stats(Struct):
    jobs: Count
    by_status: dict[str, Count]
    by_type: list[TypeStats]
    success_rate: float | None = None


class Schedule(Struct):
    schedule_id: str
    tenant: str
    words: str
    paused: bool
    paused_reason: str
    catch_up: str
    next_runs: list[Moment]
    account: str | None = None
    type: str | None = None
    chain: str | None = None


class RunJob(Struct):
    job_id: str
    type: str
    status: str


class Run(Struct):
    """A planned run; `account` is empty for all accounts."""

    account: str
    planned_at: Moment
    state: str
    reason: str
    jobs: list[RunJob]


class Schedulers(Struct):
    alive: bool


class SchedulesPage(Struct):
    schedules: list[Schedule]
    scheduler: Schedulers
    total_text: str
    next: str | None


class ScheduleAnswer(Struct):
    schedule: Schedule


class ScheduleWithRuns(Struct):
    schedule: Schedule
    runs: list[Run]
    scheduler: Schedulers


class Total(Struct):
    total: Count


class Check(Struct):
    name: str
    ok: bool
    detail: str = ""


class Readiness(Struct):
    ready: bool
    checks: list[Check]
    notes: list[str] = []


class Freshness(Struct):
    alive: bool
    lag_seconds: Annotated[float, Meta(ge=-1e12, le=1e12)] | None
    lag_events: Number | None
    as_of: str | None


def lacks(answer: object, shape: type[Struct]) -> str | None:
    """The first field of an answer that is missing or has another type; None for a valid answer."""
    try:
        msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        return str(error)
    except RecursionError:
        return "nests too deeply"
    return None
