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
from worker.claims import Claim
from worker.deferral import PATIENCE, Deferral, defer, patience
from worker.eligibility import policy_of
from worker.errors import Interrupted, JobDeferred, JobTimedOut, LeaseLost
from worker.inbox import Guard, put_event, read_request
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


# As long as an attempt waits in its thread. Deadlocks are found earlier, after `deadlock_timeout`.
_LOCK_TIMEOUT = "select set_config('lock_timeout', %s, true)"


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

    policy: that of the job's type. deferral: how the row sleeps after this attempt; None = it does not.
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
        self.policy = policy_of(self.type)
        self.crashes = claim.crashes
        self.failures = claim.failures
        self.deferral: Deferral | None = None
        self._deferrals = claim.deferrals
        self._waited_ms = claim.waited_ms
        self._held = 0.0  # seconds that this attempt has waited in its thread since its last step
        self._keeping = False
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
        deadline = self.policy.deadline
        if deadline is not None and self.spent_ms() >= deadline / timedelta(milliseconds=1):
            raise JobTimedOut(f"the job has run for longer than its deadline of {deadline.total_seconds():g} s")

    def wait(self, seconds: float, reason: str | Exception) -> None:
        """Wait for a limit or a platform, and show the reason as the phase.

        reason: words, or the platform's error after which a call is repeated. Its `retry_after` is the time that the
        platform named; None = the client chose the pause.

        Raises:
            JobDeferred: it would take more than some seconds; the row sleeps, and the next attempt goes on.
            Interrupted: as soon as the attempt must stop.
        """
        self.check()
        error = reason if isinstance(reason, Exception) else None
        if seconds > patience(self._deferrals, for_error=error is not None, keeping=self._keeping):
            exact = error is None or getattr(error, "retry_after", None) is not None
            raise JobDeferred(seconds, str(reason), exact=exact) from error
        began = self.context.clock.monotonic()
        try:
            self.pause_between_polls(seconds, str(reason))
        finally:
            self._held += self.context.clock.monotonic() - began

    def pause_between_polls(self, seconds: float, reason: str) -> None:
        """Block for `seconds`, and show the reason as the phase: for work that others do meanwhile.

        Raises Interrupted as soon as the attempt must stop.
        """
        phase = self.phase
        self.progress(f"waiting: {reason}")
        deadline = self.policy.deadline
        if deadline is not None:
            seconds = min(seconds, deadline.total_seconds() - self.spent_ms() / 1000)
        self._stop.wait(max(0.0, seconds))
        self.check()
        self.phase = phase

    @contextmanager
    def keeping_thread(self) -> Generator[None, None, None]:
        """A section of calls that a deferral would repeat, such as the writes of a batch: it waits in its thread.

        For a limit as long as any bucket makes a call wait. For a platform that fails about half a minute: then the row
        is deferred all the same, so that a platform that is down does not keep the threads.
        """
        self._keeping = True
        try:
            yield
        finally:
            self._keeping = False

    def defer(self, deferred: JobDeferred) -> bool:
        """Let the row sleep after this attempt; False where the job has waited for its retry timeout."""
        held_ms = round(self._held * 1000)
        self.deferral = defer(
            deferred, self.policy, deferrals=self._deferrals, waited_ms=self._waited_ms, held_ms=held_ms
        )
        return self.deferral is not None

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
            psycopg.errors.LockNotAvailable: another transaction holds a lock for long; the worker defers the job.
        """
        if not work_done:
            self.check()
        with self.context.pool.connection() as conn:
            if not work_done:
                conn.execute(_LOCK_TIMEOUT, [f"{PATIENCE:g}s"])
            checkpoint = Checkpoint(self, conn)
            yield checkpoint
            counted = msgspec.to_builtins(checkpoint.counters)
            stepped = self.guard.checkpoint(conn, checkpoint.cursor, counted, self.spent_ms())
        self.cursor, self.counters = checkpoint.cursor, checkpoint.counters
        if stepped:
            self.stepped, self.suspect = True, False
            self._deferrals, self._waited_ms, self._held = 0, 0, 0.0
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
