"""The threads of a worker service: one intake, one outbox, one for leases, and some that run jobs."""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import psycopg
import structlog
from psycopg_pool import ConnectionPool

from job_events.clock import Clock
from job_events.database import is_away
from job_events.envelope import decode, encode_own
from job_events.errors import Interrupted, JobCancelled, JobFailed, JobPaused, LeaseLost, WorkerStopping
from job_events.events import ErrorInfo, Finished, FinishedData, RequestCopy, Started, StartedData
from job_events.kafka import Listener, Sender
from job_events.topics import Topics
from job_events.worker import inbox
from job_events.worker.intake import Intake
from job_events.worker.job import Ending, RunningJob, Surroundings
from job_events.worker.outbox import OutboxSender
from job_events.worker.progress import ProgressSender
from job_events.worker.retention import sweep_hourly
from job_events.worker.tally import Tally

log = structlog.get_logger(__name__)

Handler = Callable[[RunningJob], Ending | None]
"""A job's own code. Returning None means: judge by the counters."""

LEASE = timedelta(seconds=20)
BEAT_SECONDS = 2.0
IDLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at once: threads of this process, and jobs of one account over all processes."""

    threads: int = 4
    per_account: int = 4


def worker_name() -> str:
    """Unique per process start: two processes must never take each other for themselves."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class WorkerLoop:
    """Runs a service's jobs until told to stop.

    `explain` turns a platform's exception into an ErrorInfo with its outcome, or None for a bug of ours.
    """

    def __init__(
        self,
        service: str,
        handlers: dict[str, Handler],
        *,
        pool: ConnectionPool,
        open_consumer: Callable[[], Listener],
        producer: Sender,
        topics: Topics,
        clock: Clock,
        known_account: Callable[[str, str], bool],
        explain: Callable[[Exception], Ending | None],
        limits: Limits,
    ) -> None:
        self._handlers = handlers
        self._pool = pool
        self._topics = topics
        self._explain = explain
        self._limits = limits
        self.owner = worker_name()
        self._producer = producer
        self._outbox = OutboxSender(pool, producer)
        self._around = Surroundings(
            pool=pool,
            topics=topics,
            outbox=self._outbox,
            progress=ProgressSender(producer, topics.events, clock),
            clock=clock,
            worker=self.owner,
            source=f"jobtrail/{service}/{self.owner}",
        )
        self._wake = threading.Condition()
        # Attempts, not jobs: after a long pause this process may run the next attempt beside the one it lost.
        self._running: set[RunningJob] = set()
        self._running_lock = threading.Lock()
        self._intake = Intake(
            service,
            open_consumer=open_consumer,
            pool=pool,
            topics=topics,
            outbox=self._outbox,
            known_account=known_account,
            clock=clock,
            on_rows=self._notify,
        )

    def run(self, stop: threading.Event) -> None:
        """Block until `stop`; then give back every row at its checkpoint and send what is promised.

        A thread that dies of an unforeseen error ends the process, so that its supervisor starts it anew.
        """
        failures: list[BaseException] = []

        def guarded(body: Callable[[threading.Event], None], ends: threading.Event) -> Callable[[], None]:
            def call() -> None:
                try:
                    body(ends)
                except BaseException as error:
                    log.exception("worker thread died")
                    failures.append(error)
                    stop.set()

            return call

        released = threading.Event()
        workers = [
            threading.Thread(target=guarded(self._work, stop), name=f"job-{number}", daemon=True)
            for number in range(self._limits.threads)
        ]
        intake = threading.Thread(target=guarded(self._intake.run, stop), name="intake", daemon=True)
        beat = threading.Thread(target=guarded(self._beat, released), name="lease", daemon=True)
        outbox = threading.Thread(target=guarded(self._outbox.run, released), name="outbox", daemon=True)
        sweeps = threading.Thread(target=guarded(self._sweep, stop), name="retention", daemon=True)
        for thread in (intake, beat, outbox, sweeps, *workers):
            thread.start()
        while not stop.wait(1):
            pass
        self._interrupt_all(WorkerStopping("the worker stops"))
        self._notify()
        for thread in (*workers, intake):
            thread.join()
        released.set()
        self._outbox.poke()
        for thread in (outbox, beat):
            thread.join()
        self._producer.flush(5)
        if failures:
            raise failures[0]

    def _sweep(self, stop: threading.Event) -> None:
        sweep_hourly(self._pool, self._around.clock, stop)

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                job = self._claim()
                if job is None:
                    with self._wake:
                        self._wake.wait(IDLE_SECONDS)
                    continue
                self._run(job, stop)
            except psycopg.Error as error:
                if not is_away(error):
                    raise
                # The row's lease runs out and the job resumes from its checkpoint.
                log.warning("worker waits for PostgreSQL", reason=str(error).strip())
                stop.wait(1)

    def _claim(self) -> RunningJob | None:
        with self._pool.connection() as conn:
            claim = inbox.claim(conn, self.owner, list(self._handlers), LEASE, self._limits.per_account)
            if claim is None:
                return None
            job = RunningJob(claim, self._around, self.owner)
            if claim.cancel_requested is None:
                inbox.put_event(conn, self._topics.events, job.id, _started(job))
            else:
                job.interrupt(JobCancelled(claim.cancel_requested))
        self._outbox.poke()
        return job

    def _run(self, job: RunningJob, stop: threading.Event) -> None:
        with self._running_lock:
            self._running.add(job)
        if stop.is_set():
            job.interrupt(WorkerStopping("the worker stops"))
        bound = log.bind(job=job.id, type=job.type, attempt=job.attempt)
        bound.info("job begins")
        try:
            self._settle(job, self._attempt(job, bound))
        except LeaseLost as lost:
            bound.warning("job goes on elsewhere", reason=str(lost))
        finally:
            with self._running_lock:
                self._running.discard(job)
            self._around.progress.forget(job.id)
            self._outbox.poke()
            self._notify()

    def _attempt(self, job: RunningJob, bound: structlog.stdlib.BoundLogger) -> Ending | None:
        """How the job ended, or None where its row goes back for another attempt."""
        try:
            job.check()
            return self._handlers[job.type](job) or judge(job)
        except JobCancelled as cancelled:
            return Ending("cancelled", ErrorInfo("CANCELLED", "CANCELLED", str(cancelled)[:4096]))
        except LeaseLost:
            raise
        except Interrupted as interrupted:
            if isinstance(interrupted, JobPaused):
                job.progress("paused")
            bound.info("job goes back", reason=str(interrupted))
            return None
        except JobFailed as failed:
            return Ending("failure", ErrorInfo(failed.category, failed.code[:512], failed.message[:4096]))
        except Exception as error:
            if is_away(error):
                raise
            ending = self._explain(error)
            if ending is not None:
                return ending
            bound.exception("job broke")
            return _broken(error)

    def _settle(self, job: RunningJob, ending: Ending | None) -> None:
        if ending is None:
            with self._pool.connection() as conn:
                job.guard.release(conn, job.spent_ms())
            return
        try:
            self._end(job, ending)
        except LeaseLost:
            raise
        except Exception as error:
            if is_away(error):
                raise
            log.exception("job code leaves an end that no event can tell", job=job.id)
            job.tally = Tally()
            self._end(job, _broken(error))

    def _end(self, job: RunningJob, ending: Ending) -> None:
        event = _finished(job, ending)
        decode(encode_own(event))  # an end that readers refuse would never be seen
        with self._pool.connection() as conn:
            job.guard.finish(conn, ending.outcome, msgspec.to_builtins(job.tally), event.data.duration_ms)
            inbox.put_event(conn, self._topics.events, job.id, event)
        log.info("job ended", job=job.id, type=job.type, outcome=ending.outcome)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_SECONDS):
            with self._running_lock:
                jobs = list(self._running)
            if jobs:
                try:
                    self._renew(jobs)
                except psycopg.Error as error:
                    if not is_away(error):
                        raise
                    log.warning("leases not renewed", reason=str(error).strip())
            self._around.progress.beat(jobs)

    def _renew(self, jobs: list[RunningJob]) -> None:
        with self._pool.connection() as conn:
            renewals = {row.job_id: row for row in inbox.renew(conn, self.owner, [job.id for job in jobs], LEASE)}
        for job in jobs:
            row = renewals.get(job.id)
            if row is None or row.attempt != job.attempt:
                # A job that has just ended here is told too, and does not listen any more.
                job.interrupt(LeaseLost(f"job {job.id}: the lease ran out"))
            elif row.cancel_requested is not None:
                job.interrupt(JobCancelled(row.cancel_requested))
            elif row.paused:
                job.interrupt(JobPaused("paused"))

    def _interrupt_all(self, reason: Interrupted) -> None:
        with self._running_lock:
            for job in self._running:
                job.interrupt(reason)


def judge(job: RunningJob) -> Ending:
    """An ending by the counters: nothing failed is success, something failed is partial, all failed is failure."""
    tally = job.tally
    if tally.failed == 0:
        return Ending("success")
    if tally.failed < tally.processed:
        return Ending("partial")
    return Ending("failure", ErrorInfo("PLATFORM_ERROR", "ALL_ITEMS_FAILED", f"all {tally.failed} items failed"))


def _broken(error: Exception) -> Ending:
    name = type(error).__name__
    return Ending("error", ErrorInfo("INTERNAL", name[:512], f"{name[:512]} in the worker; its log has the details"))


def _started(job: RunningJob) -> Started:
    request = job.request
    data = request.data
    copy = RequestCopy(
        params=data.params,
        priority=data.priority,
        then=data.then,
        requested_by=data.requested_by,
        retryof=data.retryof,
        parents=data.parents,
        id=request.id,
        time=request.time,
    )
    return Started(
        **job.attributes(1),
        data=StartedData(
            job=data.job,
            attempt=job.attempt,
            seq=1,
            request=copy,
            worker=job.around.worker,
            total=job.tally.counters().total,
        ),
    )


def _finished(job: RunningJob, ending: Ending) -> Finished:
    request = job.request
    seq = job.next_seq()
    return Finished(
        **job.attributes(seq),
        data=FinishedData(
            job=request.data.job,
            attempt=job.attempt,
            seq=seq,
            outcome=ending.outcome,
            counters=job.tally.counters(),
            metadata=job.metadata(),
            error=ending.error,
            duration_ms=job.spent_ms(),
            then=request.data.then,
        ),
    )
