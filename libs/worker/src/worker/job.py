"""What a job's own code uses of the runtime: checkpoints, counters, waiting, progress."""

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

from job_events.events import (
    Action,
    ErrorInfo,
    FieldChange,
    ItemData,
    ItemRecorded,
    Progress,
    ProgressData,
    Requested,
)
from job_events.job_params import Params
from job_events.job_types import read_params
from job_events.topics import Topics
from service_kit.clock import Clock
from worker.errors import Interrupted, LeaseLost
from worker.inbox import Claim, Guard, put_event, read_request
from worker.job_result import JobCounters
from worker.outbox import OutboxSender
from worker.progress import ProgressSender


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
    """The CloudEvents attributes of an event of a job."""

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
    """One transaction of a job: its own writes, its items, its counters and its cursor are committed together.

    Writes go through `connection`. `counters` is a copy, which replaces those of the job after the commit.
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
        """Record the outcome of one item on `jobs.items`; it is sent after the commit."""
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
    """One attempt of one job.

    Job code reads `params` and `cursor`, writes inside `checkpoint()`, and calls `wait` and `check` between steps. All
    three raise Interrupted when the attempt must stop; job code does not catch it.
    """

    def __init__(self, claim: Claim, context: WorkerContext, owner: str) -> None:
        self.request: Requested = read_request(claim.request)
        self.id = claim.job_id
        self.attempt = claim.attempt
        self.tenant = self.request.tenant
        self.account = self.request.data.job.account
        self.type = self.request.data.job.type
        self.cursor: Any = claim.cursor
        self.counters: JobCounters = msgspec.convert(claim.counters, JobCounters) if claim.counters else JobCounters()
        self.phase = "starting"
        self.context = context
        self.guard = Guard(claim.job_id, claim.attempt, owner)
        self.crashes = claim.crashes
        self.failures = claim.failures
        self.only_ends = claim.only_ends
        self.stepped = False
        # It runs alone until it makes progress: its last process died, perhaps because of it.
        self.suspect = claim.suspect and not claim.only_ends
        # How long the row waits before its next attempt.
        self.retry_after = timedelta()
        self._spent_ms = claim.spent_ms
        self._started = context.clock.monotonic()
        self._processed_before = self.counters.processed
        self._seq = 1  # the start itself
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._reason: Interrupted | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the attempt must stop."""
        return self._stop.is_set()

    @property
    def params(self) -> Params:
        """The checked parameters; of the type that `job_types` names for this job."""
        return read_params(self.type, self.request.data.params)

    def interrupt(self, reason: Interrupted) -> None:
        """Make the attempt stop; called by other threads. LeaseLost replaces every other reason."""
        if self._reason is None or isinstance(reason, LeaseLost):
            self._reason = reason
        self._stop.set()

    def check(self) -> None:
        """Raise Interrupted if the attempt must stop."""
        if self._reason is not None:
            raise self._reason

    def wait(self, seconds: float, reason: str) -> None:
        """Wait, and show the reason as the phase. Raises Interrupted as soon as the attempt must stop."""
        phase = self.phase
        self.progress(f"waiting: {reason}")
        self._stop.wait(max(0.0, seconds))
        self.check()
        self.phase = phase

    def progress(self, phase: str | None = None) -> None:
        """Report progress. Never blocks; events are coalesced, and dropped while Kafka is away."""
        if phase is not None:
            self.phase = phase[:512]
        self.context.progress.offer(self)

    @contextmanager
    def checkpoint(self, *, work_done: bool = False) -> Generator[Checkpoint, None, None]:
        """A transaction that commits the work together with the cursor and the counters.

        work_done: the transaction records work that was already done elsewhere, such as a write to a platform. It is
        committed even if the attempt must stop meanwhile; only a lost lease still prevents it.

        Raises:
            LeaseLost: a later attempt owns the job; nothing was written.
            Interrupted: the attempt must stop; raised before the transaction begins.
        """
        if not work_done:
            self.check()
        with self.context.pool.connection() as conn:
            checkpoint = Checkpoint(self, conn)
            yield checkpoint
            counted = msgspec.to_builtins(checkpoint.counters)
            stepped = self.guard.checkpoint(conn, checkpoint.cursor, counted, self.spent_ms())
        self.cursor, self.counters = checkpoint.cursor, checkpoint.counters
        if stepped:
            self.stepped, self.suspect = True, False
        self.context.outbox.notify()
        self.progress()

    def spent_ms(self) -> int:
        """Duration of all attempts in milliseconds, by monotonic clocks."""
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
        """The attributes of an event of this attempt: a lifecycle event by its sequence number, an item by its name."""
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
        """The present progress as an event. Number and counters are read together, so that counters never fall."""
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
