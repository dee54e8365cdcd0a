"""The fold: events of one job, in any order and with any duplicates, to one row.

A job is a product of registers. Each keeps its greatest key; equal keys keep the greater
canonical bytes. A maximum is commutative, associative and idempotent, so the row does not depend on
order, duplicates or batching:

    request   the smallest (time, id) wins; a description without a request loses to any request
    start     (attempt, seq)
    progress  (attempt, seq): all counters with the metadata
    end       (attempt, seq)
    deletion  the smallest (time, id) wins; with it, all other registers are empty: a tombstone

Texts are compared by code points, which is the order of their bytes in UTF-8. `job_tracker`'s upsert keeps the same
maxima in SQL, column by column, in collation "C".
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple, Self

import msgspec

from job_events.envelope import canonical, encode
from job_events.events import (
    Deleted,
    Finished,
    FinishedData,
    Lifecycle,
    Progress,
    ProgressData,
    Request,
    Requested,
    RequestedData,
    Started,
    StartedData,
)

_decoder = msgspec.json.Decoder(Progress)
# A description without a request sorts behind every request.
NO_REQUEST_TIME = datetime.max.replace(tzinfo=UTC)


class RequestRegister(NamedTuple):
    """The description of the job. `time` is NO_REQUEST_TIME and `id` empty while no request is known."""

    time: datetime
    id: str
    body: str
    tenant: str
    account: str
    job_type: str
    chain: str
    parent: str | None
    batch: str | None
    priority: str | None
    retry_of: str | None
    requested_by: str | None

    @classmethod
    def of(cls, event: Lifecycle) -> Self:
        """Read the register from any lifecycle event; a start repeats its request in full."""
        data = event.data
        request: Request | None = None
        time, id_ = NO_REQUEST_TIME, ""
        if isinstance(data, RequestedData):
            request, time, id_ = data, event.time, event.id
        elif isinstance(data, StartedData):
            request, time, id_ = data.request, data.request.time, data.request.id
        job = data.job
        return cls(
            time.astimezone(UTC),
            id_,
            _request_body(event, request),
            event.tenant,
            job.account,
            job.type,
            event.correlationid,
            event.causationid,
            job.batch,
            request.priority if request else None,
            request.retryof if request else None,
            request.requested_by if request else None,
        )

    def beats(self, other: "RequestRegister | None") -> bool:
        """Smaller (time, id) wins; then the greater bytes."""
        if other is None:
            return True
        mine, theirs = (self.time, self.id), (other.time, other.id)
        return mine < theirs or (mine == theirs and self.body > other.body)


class StartRegister(NamedTuple):
    attempt: int
    seq: int
    body: str
    at: datetime
    worker: str
    total: int | None

    @classmethod
    def of(cls, event: Started) -> Self:
        data, at = event.data, event.time.astimezone(UTC)
        body = canonical({"at": at, "worker": data.worker, "total": data.total})
        return cls(data.attempt, data.seq, body, at, data.worker, data.total)


class ProgressRegister(NamedTuple):
    """`body` holds the metadata; the counters also have columns of their own."""

    attempt: int
    seq: int
    body: str
    at: datetime
    phase: str
    total: int | None
    processed: int
    successful: int
    failed: int
    skipped: int

    @classmethod
    def of(cls, event: Progress) -> Self:
        data, at = event.data, event.time.astimezone(UTC)
        body = canonical({"at": at, "phase": data.phase, "counters": data.counters, "metadata": data.metadata})
        return cls(data.attempt, data.seq, body, at, data.phase, *_counters(data))


class EndRegister(NamedTuple):
    attempt: int
    seq: int
    body: str
    at: datetime
    outcome: str
    total: int | None
    processed: int
    successful: int
    failed: int
    skipped: int
    duration_ms: int
    error_category: str | None

    @classmethod
    def of(cls, event: Finished) -> Self:
        data, at = event.data, event.time.astimezone(UTC)
        body = canonical(
            {
                "at": at,
                "outcome": data.outcome,
                "counters": data.counters,
                "metadata": data.metadata,
                "error": data.error,
                "duration_ms": data.duration_ms,
                "then": data.then,
            }
        )
        category = data.error.category if data.error else None
        return cls(data.attempt, data.seq, body, at, data.outcome, *_counters(data), data.duration_ms, category)


class DeletionRegister(NamedTuple):
    """The time and the event of the deletion. The description comes from that event alone."""

    at: datetime
    id: str

    @classmethod
    def of(cls, event: Deleted) -> Self:
        return cls(event.time.astimezone(UTC), event.id)


class JobState:
    """The registers of one job while a batch is folded.

    Most progress events of a batch are superseded by a later one, so progress is kept as bytes and the last one is
    decoded again: as objects they would evict each other from the processor's cache.
    """

    __slots__ = ("_described", "_key", "deletion", "end", "progress", "request", "start", "stub")

    def __init__(self) -> None:
        self.request: RequestRegister | None = None
        self.stub: RequestRegister | None = None
        self.start: StartRegister | None = None
        self.progress = b""  # none yet
        self.end: EndRegister | None = None
        self.deletion: tuple[DeletionRegister, RequestRegister] | None = None
        self._key = (-1, -1)  # attempt and seq of `progress`
        self._described: tuple[object, ...] = ()  # what `stub` was made from

    def apply(self, event: Lifecycle, value: bytes) -> None:
        """Fold one more event in, which was decoded from `value`."""
        match event:
            case Progress():
                self._advance(event, value)
                self._describe(event)
            case Finished():
                end = EndRegister.of(event)
                if self.end is None or end > self.end:
                    self.end = end
                self._describe(event)
            case Started():
                start = StartRegister.of(event)
                if self.start is None or start > self.start:
                    self.start = start
                self._ask(event)
            case Requested():
                self._ask(event)
            case Deleted():
                self._delete(event)

    def registers(self) -> "Registers":
        """What the table stores."""
        if self.deletion is not None:
            deletion, described = self.deletion
            return Registers(described, None, None, None, deletion)
        known = self.request or self.stub
        if known is None:
            raise ValueError("a job without an event has no row")
        progress = _read_progress(self.progress) if self.progress else None
        return Registers(known, self.start, progress, self.end, None)

    def _advance(self, event: Progress, value: bytes) -> None:
        key = event.data.attempt, event.data.seq
        if key == self._key and value != self.progress and ProgressRegister.of(event) > _read_progress(self.progress):
            self.progress = value
        elif key > self._key:
            self.progress, self._key = value, key

    def _ask(self, event: Requested | Started) -> None:
        request = RequestRegister.of(event)
        if request.beats(self.request):
            self.request = request

    def _describe(self, event: Progress | Finished) -> None:
        if self.request is not None:
            return
        described = (event.data.job, event.tenant, event.correlationid, event.causationid)
        if described == self._described:
            return
        stub = RequestRegister.of(event)
        if stub.beats(self.stub):
            self.stub, self._described = stub, described

    def _delete(self, event: Deleted) -> None:
        held, deletion, described = self.deletion, DeletionRegister.of(event), RequestRegister.of(event)
        if held is None or deletion < held[0] or (deletion == held[0] and described.body > held[1].body):
            self.deletion = deletion, described


class Registers(NamedTuple):
    """The row of one job as it is stored; every shown field is a function of it."""

    request: RequestRegister
    start: StartRegister | None
    progress: ProgressRegister | None
    end: EndRegister | None
    deletion: DeletionRegister | None

    @property
    def state(self) -> str:
        if self.deletion:
            return "deleted"
        if self.end:
            return "finished"
        return "running" if self.start or self.progress else "queued"

    @property
    def attempt(self) -> int:
        return max((register.attempt for register in (self.start, self.progress, self.end) if register), default=0)

    @property
    def status(self) -> str:
        """The one word for people."""
        return status_word(self.state, self.end.outcome if self.end else None)


STATUS_OF_OUTCOME = {
    "success": "COMPLETED",
    "partial": "MIXED",
    "failure": "FAILED",
    "error": "FAILED",
    "timeout": "FAILED",
    "cancelled": "CANCELLED",
    "skipped": "CANCELLED",
}
STATUSES = ("PENDING", "RUNNING", "COMPLETED", "MIXED", "FAILED", "CANCELLED")


def status_word(state: str, outcome: str | None) -> str:
    """One of STATUSES, from the two fields that decide it; DELETED for a tombstone, which no list shows."""
    if state == "deleted":
        return "DELETED"
    if outcome is not None:
        return STATUS_OF_OUTCOME[outcome]
    return "RUNNING" if state == "running" else "PENDING"


def fold(events: Iterable[Lifecycle]) -> dict[str, Registers]:
    """Fold events of any number of jobs; returns job id → registers."""
    states: dict[str, JobState] = {}
    for event in events:
        states.setdefault(event.job_id, JobState()).apply(event, encode(event))
    return {job_id: state.registers() for job_id, state in states.items()}


def _request_body(event: Lifecycle, request: Request | None) -> str:
    body: dict[str, object] = {
        "tenant": event.tenant,
        "chain": event.correlationid,
        "parent": event.causationid,
        "job": event.data.job,
    }
    if request is not None:
        body |= {
            "params": request.params,
            "priority": request.priority,
            "then": request.then,
            "requested_by": request.requested_by,
            "retryof": request.retryof,
            "parents": request.parents,
        }
    return canonical(body)


def _counters(data: ProgressData | FinishedData) -> tuple[int | None, int, int, int, int]:
    counters = data.counters
    return counters.total, counters.processed, counters.successful, counters.failed, counters.skipped


def _read_progress(value: bytes) -> ProgressRegister:
    return ProgressRegister.of(_decoder.decode(value))
