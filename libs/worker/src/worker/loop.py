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
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.envelope import decode, encode_own
from job_events.errors import InvalidRequest
from job_events.events import ErrorInfo
from job_events.job_types import contract_version, read_params, unknown_here
from job_events.topics import Topics
from service_kit.clock import Clock
from service_kit.database import is_away, is_transient, sql_error_text
from service_kit.kafka import MonitoredConsumer, ReconnectingProducer
from worker import inbox
from worker.ends import ended_unread
from worker.errors import Interrupted, JobCancelled, JobFailed, JobPaused, LeaseLost, WorkerStopping
from worker.inbox import MAX_ATTEMPTS, Claim, Claimer, Unread
from worker.isolation import RunningJobs
from worker.job import JobResult, RunningJob, WorkerContext
from worker.job_result import JobCounters
from worker.lifecycle import (
    broken,
    ended_as_failure,
    finished,
    poisoned,
    refused_by_postgres,
    result_from_outcome,
    started,
)
from worker.outbox import OutboxSender
from worker.progress import ProgressSender
from worker.request_consumer import RequestConsumer
from worker.retention import sweep_hourly

log = structlog.get_logger(__name__)

Handler = Callable[[RunningJob], JobResult | None]
"""A job's own code. Returning None means: judge by the counters."""

LEASE = timedelta(seconds=20)
BEAT_SECONDS = 2.0
IDLE_SECONDS = 0.5
RETRY_SECONDS = 1.0  # until the second try of what PostgreSQL refused for now; each further one waits twice as long


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

    `result_from_error` turns a platform's exception into an ErrorInfo with its outcome, or None for a bug of ours.
    """

    def __init__(
        self,
        service: str,
        handlers: dict[str, Handler],
        *,
        pool: ConnectionPool,
        open_consumer: Callable[[], MonitoredConsumer],
        producer: ReconnectingProducer,
        topics: Topics,
        clock: Clock,
        known_account: Callable[[str, str], bool],
        result_from_error: Callable[[Exception], JobResult | None],
        limits: Limits,
    ) -> None:
        self._handlers = handlers
        self._pool = pool
        self._topics = topics
        self._result_from_error = result_from_error
        self._limits = limits
        self.owner = worker_name()
        self._producer = producer
        self._outbox = OutboxSender(pool, producer, topics=topics, service=service)
        self._around = WorkerContext(
            pool=pool,
            topics=topics,
            outbox=self._outbox,
            progress=ProgressSender(producer, topics.events, clock),
            clock=clock,
            worker=self.owner,
            source=f"jobtrail/{service}/{self.owner}",
        )
        self._wake = threading.Condition()
        self._running = RunningJobs()
        # A suspect and another job are never claimed at the same moment.
        self._claiming = threading.Lock()
        # While PostgreSQL was away nobody could renew a lease: its owners come first.
        self._leases_count_from = float("-inf")
        self._claimer = Claimer(self.owner, list(handlers), contract_version(), LEASE, limits.per_account)
        self._intake = RequestConsumer(
            service,
            open_consumer=open_consumer,
            pool=pool,
            topics=topics,
            outbox=self._outbox,
            known_account=known_account,
            clock=clock,
            on_rows=self._notify,
            version=self._claimer.version,
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
        self._running.interrupt_all(WorkerStopping("the worker stops"))
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
                if not _is_waited_for(error):
                    raise
                self._note_away(error)
                log.warning("worker waits for PostgreSQL", reason=str(error).strip())
                stop.wait(1)

    def _note_away(self, error: Exception) -> None:
        if is_away(error):
            self._leases_count_from = self._around.clock.monotonic() + LEASE.total_seconds()

    def _claim(self) -> RunningJob | None:
        if not self._claiming.acquire(timeout=IDLE_SECONDS):
            return None
        try:
            with self._pool.connection() as conn:
                inbox.lock_claims(conn)
                if self._around.clock.monotonic() >= self._leases_count_from:
                    for job_id, attempt, crashes in inbox.note_crashes(conn):
                        log.warning("lease ran out", job=job_id, attempt=attempt, crashes=crashes)
                claim = inbox.claim(conn, self._claimer, only_ends=self._running.has_suspect())
                job = None if claim is None else self._begin(conn, claim)
            if job is not None:
                self._running.add(job)
        finally:
            self._claiming.release()
        self._outbox.poke()
        return job

    def _begin(self, conn: Connection, claim: Claim) -> RunningJob | None:
        """The attempt, or None where the request cannot be read: the job ends, or waits for another version."""
        guard = inbox.Guard(claim.job_id, claim.attempt, self.owner)
        try:
            job = RunningJob(claim, self._around, self.owner)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
            log.exception("stored request cannot be read", job=claim.job_id)
            event = ended_unread(claim, self._around.source, self._around.clock.now(), str(error))
            guard.finish(conn, event.data.outcome, None, claim.spent_ms)
            inbox.put_event(conn, self._topics.events, claim.job_id, event)
            return None
        if claim.cancel_requested is not None:
            job.interrupt(JobCancelled(claim.cancel_requested))
        elif not claim.only_ends:
            reason = unknown_here(job.type, job.request.data.params)
            if reason is not None:
                guard.keep(conn, Unread(reason, self._claimer.version))
                log.warning("job waits for another version", job=claim.job_id, reason=reason)
                return None
            inbox.put_event(conn, self._topics.events, job.id, started(job))
        return job

    def _run(self, job: RunningJob, stop: threading.Event) -> None:
        if stop.is_set():
            job.interrupt(WorkerStopping("the worker stops"))
        bound = log.bind(job=job.id, type=job.type, attempt=job.attempt)
        bound.info("job begins")
        try:
            self._finish(job, bound, stop)
        except LeaseLost as lost:
            bound.warning("job goes on elsewhere", reason=str(lost))
        finally:
            self._running.discard(job)
            self._around.progress.forget(job.id)
            self._outbox.poke()
            self._notify()

    def _finish(self, job: RunningJob, bound: structlog.stdlib.BoundLogger, stop: threading.Event) -> None:
        """Make the attempt and write its outcome, however long PostgreSQL is away meanwhile."""
        try:
            ending = self._attempt(job, bound)
        except psycopg.Error as error:
            if not _is_waited_for(error):
                raise
            bound.warning("attempt interrupted by PostgreSQL", reason=sql_error_text(error))
            self._note_away(error)
            ending = self._after(job, error)
        self._insist(lambda: self._settle(job, ending), stop)

    def _after(self, job: RunningJob, error: psycopg.Error) -> "JobResult | None":
        """What follows an attempt that PostgreSQL interrupted: another one, or after too many refusals the end."""
        if is_away(error):
            return None
        job.failures = 0 if job.stepped else job.failures + 1
        if job.failures >= MAX_ATTEMPTS:
            return refused_by_postgres(error, job.failures)
        job.progress(f"waiting: {sql_error_text(error)}; refused {job.failures} of {MAX_ATTEMPTS} times")
        job.retry_after = timedelta(seconds=RETRY_SECONDS * 2 ** max(job.failures - 1, 0))
        return None

    def _insist(self, write: Callable[[], None], stop: threading.Event) -> None:
        """Repeat a write that PostgreSQL refuses for now, until the lease is lost or the worker stops."""
        while True:
            try:
                return write()
            except psycopg.Error as error:
                if not _is_waited_for(error) or stop.is_set():
                    raise
                self._note_away(error)
                log.warning("outcome of an attempt not written", reason=sql_error_text(error))
                stop.wait(1)

    def _attempt(self, job: RunningJob, bound: structlog.stdlib.BoundLogger) -> JobResult | None:
        """How the job ended, or None where its row goes back for another attempt."""
        try:
            job.check()
            return self._work_on(job)
        except JobCancelled as cancelled:
            return JobResult("cancelled", ErrorInfo("CANCELLED", "CANCELLED", str(cancelled)[:4096]))
        except LeaseLost:
            raise
        except Interrupted as interrupted:
            if isinstance(interrupted, JobPaused):
                job.progress("paused")
            bound.info("job goes back", reason=str(interrupted))
            return None
        except (JobFailed, InvalidRequest) as failed:
            return ended_as_failure(failed)
        except Exception as error:
            if _is_waited_for(error):
                raise
            ending = self._result_from_error(error)
            if ending is not None:
                return ending
            bound.exception("job broke")
            return broken(error)

    def _work_on(self, job: RunningJob) -> JobResult:
        if job.only_ends:
            return poisoned(job.crashes)
        if job.suspect:
            self._running.make_room(job)
        read_params(job.type, job.request.data.params)
        return self._handlers[job.type](job) or result_from_outcome(job)

    def _settle(self, job: RunningJob, ending: JobResult | None) -> None:
        if ending is None:
            with self._pool.connection() as conn:
                job.guard.release(conn, job.spent_ms(), job.failures, job.retry_after)
            return
        try:
            self._end(job, ending)
        except LeaseLost:
            raise
        except Exception as error:
            if _is_waited_for(error):
                raise
            log.exception("job code leaves an end that no event can tell", job=job.id)
            job.counters = JobCounters()
            self._end(job, broken(error))

    def _end(self, job: RunningJob, ending: JobResult) -> None:
        event = finished(job, ending)
        decode(encode_own(event))  # an end that readers refuse would never be seen
        with self._pool.connection() as conn:
            job.guard.finish(conn, event.data.outcome, msgspec.to_builtins(job.counters), event.data.duration_ms)
            inbox.put_event(conn, self._topics.events, job.id, event)
        log.info("job ended", job=job.id, type=job.type, outcome=event.data.outcome)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_SECONDS):
            jobs = self._running.all()
            if jobs:
                try:
                    self._renew(jobs)
                except psycopg.Error as error:
                    if not _is_waited_for(error):
                        raise
                    self._note_away(error)
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


def _is_waited_for(error: Exception) -> bool:
    """Whether PostgreSQL may take the same later: then no thread ends."""
    return is_away(error) or is_transient(error)
