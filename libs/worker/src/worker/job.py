"""What a job's own code sees of the world that runs it: pages, counters, waiting, signs of life."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, TypeVar

import msgspec
from msgspec import UNSET
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.errors import Category
from job_events.events import (
    Action,
    ErrorInfo,
    FieldChange,
    ItemData,
    ItemRecorded,
    Outcome,
    Progress,
    ProgressData,
    Requested,
)
from job_events.job_types import Params, read_params
from job_events.topics import Topics
from service_kit.clock import Clock
from worker.errors import Interrupted, LeaseLost
from worker.inbox import Claim, Guard, put_event, read_request
from worker.job_result import JobCounters
from worker.outbox import OutboxSender
from worker.progress import ProgressSender


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ends by its own word."""

    outcome: Outcome
    error: ErrorInfo | None = None


PASSING: frozenset[Category] = frozenset({"NETWORK_ERROR", "TIMEOUT", "RATE_LIMITED"})
"""What may pass by itself is the system's error; the rest is the job's own failure."""


def result_from_counters(category: Category, code: str, message: str) -> JobResult:
    """How an error that came from a platform ends a job."""
    outcome = "error" if category in PASSING else "failure"
    return JobResult(outcome, ErrorInfo(category, code[:512], message[:4096]))


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all jobs of a worker process share."""

    pool: ConnectionPool
    topics: Topics
    outbox: OutboxSender
    progress: ProgressSender
    clock: Clock
    worker: str
    source: str


class Attributes(TypedDict):
    """What all events of one job share, and what tells this one from the others."""

    specversion: Literal["1.0"]
    id: str
    source: str
    job_id: str
    time: datetime
    tenant: str
    correlationid: str
    causationid: str | None
    traceparent: str | None


class Checkpoint:
    """One transaction of a job: its own writes, its items and its checkpoint become visible together or not at all.

    `connection` is inside the transaction. `counters` is a copy that counts only if the page is written.
    """

    def __init__(self, job: "RunningJob", connection: Connection) -> None:
        self.connection = connection
        self.counters = job.counters.copy()
        self.cursor: Any = job.cursor
        self._job = job

    def item(
        self,
        item: str,
        action: Action,
        ids: dict[str, str] | None = None,
        *,
        error: ErrorInfo | None = None,
        changes: tuple[FieldChange, ...] = (),
        response_ms: int | None = None,
        held: str | None = None,
        about: dict[str, str] | None = None,
    ) -> None:
        """Record one item's outcome on `jobs.items`; it leaves with the page."""
        job = self._job
        event = ItemRecorded(
            **job.attributes(item),
            data=ItemData(
                job=job.request.data.job,
                attempt=job.attempt,
                item=item[:512],
                action=action,
                ids=ids or {},
                response_ms=response_ms,
                worker=job.context.worker,
                error=error,
                changes=changes,
                held=held[:4096] if held else UNSET,
                about={name: text[:512] for name, text in about.items()} if about else UNSET,
            ),
        )
        put_event(self.connection, job.context.topics.items, job.id, event)


class RunningJob:
    """One attempt at one job.

    Job code reads `params` and `cursor`, does its work inside `page()`s, and calls `wait` and `check`
    between steps; all three raise Interrupted when the attempt must stop, and job code lets it pass.
    """

    def __init__(self, claim: Claim, around: WorkerContext, owner: str) -> None:
        self.request: Requested = read_request(claim.request)
        self.id = claim.job_id
        self.attempt = claim.attempt
        self.tenant = self.request.tenant
        self.account = self.request.data.job.account
        self.type = self.request.data.job.type
        self.cursor: Any = claim.cursor
        self.counters: JobCounters = msgspec.convert(claim.counters, JobCounters) if claim.counters else JobCounters()
        self.phase = "starting"
        self.context = around
        self.guard = Guard(claim.job_id, claim.attempt, owner)
        self.crashes = claim.crashes
        self.failures = claim.failures
        self.only_ends = claim.only_ends
        self.stepped = False
        # Until it makes a step, it runs alone: its last process died, perhaps because of it.
        self.suspect = claim.suspect and not claim.only_ends
        # How long the row rests before its next attempt.
        self.retry_after = timedelta()
        self._spent_ms = claim.spent_ms
        self._started = around.clock.monotonic()
        self._processed_before = self.counters.processed
        self._seq = 1  # the start itself
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._reason: Interrupted | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the attempt was asked to stop."""
        return self._stop.is_set()

    @property
    def params(self) -> Params:
        """The checked parameters; of the type that `job_types` names for this job."""
        return read_params(self.type, self.request.data.params)

    def interrupt(self, reason: Interrupted) -> None:
        """Ask the attempt to stop (called by other threads). Losing the lease outweighs every other reason."""
        if self._reason is None or isinstance(reason, LeaseLost):
            self._reason = reason
        self._stop.set()

    def check(self) -> None:
        """Raise Interrupted if the attempt must stop."""
        if self._reason is not None:
            raise self._reason

    def wait(self, seconds: float, reason: str) -> None:
        """Wait for a platform, visibly: the phase says why. Raises Interrupted as soon as the attempt must stop."""
        phase = self.phase
        self.progress(f"waiting: {reason}")
        self._stop.wait(max(0.0, seconds))
        self.check()
        self.phase = phase

    def progress(self, phase: str | None = None) -> None:
        """Show where the job is. Never blocks; events are coalesced and, while Kafka is away, dropped."""
        if phase is not None:
            self.phase = phase[:512]
        self.context.progress.offer(self)

    @contextmanager
    def checkpoint(self, *, work_done: bool = False) -> Generator[Checkpoint, None, None]:
        """A transaction that moves the checkpoint with the work.

        work_done: the page tells of what was already done elsewhere, such as a write to a platform. It is written
        even if the attempt was asked to stop meanwhile; only the loss of the lease still refuses it.

        Raises:
            LeaseLost: a later attempt owns the job; nothing of the page was written.
            Interrupted: the job must stop; raised before the page begins.
        """
        if not work_done:
            self.check()
        with self.context.pool.connection() as conn:
            page = Checkpoint(self, conn)
            yield page
            counted = msgspec.to_builtins(page.counters)
            stepped = self.guard.checkpoint(conn, page.cursor, counted, self.spent_ms())
        self.cursor, self.counters = page.cursor, page.counters
        if stepped:
            self.stepped, self.suspect = True, False
        self.context.outbox.poke()
        self.progress()

    def spent_ms(self) -> int:
        """Milliseconds of work over all attempts, by monotonic clocks."""
        return self._spent_ms + round((self.context.clock.monotonic() - self._started) * 1000)

    def next_seq(self) -> int:
        """The next sequence number of this attempt."""
        with self._lock:
            self._seq += 1
            return self._seq

    def metadata(self) -> dict[str, Any]:
        """The job's own metadata with speed (items/s of this attempt), duration and, if a total is known, eta (s)."""
        elapsed = max(self.context.clock.monotonic() - self._started, 0.001)
        speed = (self.counters.processed - self._processed_before) / elapsed
        derived: dict[str, Any] = {"speed": round(speed, 1), "duration": round(self.spent_ms() / 1000, 3)}
        counters = self.counters.snapshot()
        if counters.total is not None and speed > 0:
            derived["eta"] = round((counters.total - counters.processed) / speed, 1)
        return {**self.counters.metadata, **derived}

    def attributes(self, what: int | str) -> Attributes:
        """The CloudEvents attributes of an event of this attempt: a lifecycle event by its number, an item by name."""
        request = self.request
        tail = f"{self.attempt}/{what}" if isinstance(what, int) else f"{what}/{self.attempt}"
        return Attributes(
            specversion="1.0",
            id=f"{self.id}/{tail}",
            source=self.context.source,
            job_id=self.id,
            time=self.context.clock.now(),
            tenant=request.tenant,
            correlationid=request.correlationid,
            causationid=request.causationid,
            traceparent=request.traceparent,
        )

    def progress_event(self) -> Progress:
        """The present vector as an event. Number and vector are read together, so that counters never fall."""
        with self._lock:
            self._seq += 1
            seq, phase = self._seq, self.phase
            counters, metadata = self.counters.snapshot(), self.metadata()
        return Progress(
            **self.attributes(seq),
            data=ProgressData(
                job=self.request.data.job,
                attempt=self.attempt,
                seq=seq,
                phase=phase,
                counters=counters,
                metadata=metadata,
            ),
        )


_Params = TypeVar("_Params")


def params_of(job: RunningJob, kind: type[_Params]) -> _Params:
    """The job's parameters as the struct its handler expects."""
    params = job.params
    if not isinstance(params, kind):
        raise TypeError(f"{job.type} takes {type(params).__name__}, not {kind.__name__}")
    return params
