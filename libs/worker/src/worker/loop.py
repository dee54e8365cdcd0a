"""The threads of a worker service: request consumer, outbox, leases, retention, and those that run jobs."""

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
from service_kit.clock import Clock, backoff
from service_kit.database import is_away, is_transient, sql_error_text
from service_kit.kafka import MonitoredConsumer, ReconnectingProducer
from worker import inbox
from worker.ends import finished_unreadable
from worker.errors import Interrupted, JobCancelled, JobFailed, JobPaused, LeaseLost, WorkerStopping
from worker.inbox import MAX_ATTEMPTS, Claim, Claimer, Unread
from worker.isolation import RunningJobs
from worker.job import RunningJob, WorkerContext
from worker.job_result import (
    JobCounters,
    JobResult,
    result_from_bug,
    result_from_counters,
    result_from_crashes,
    result_from_failure,
    result_from_refusals,
)
from worker.lifecycle import finished, started
from worker.outbox import OutboxSender
from worker.progress import ProgressSender
from worker.request_consumer import RequestConsumer
from worker.retention import sweep_hourly

log = structlog.get_logger(__name__)

Handler = Callable[[RunningJob], JobResult | None]
"""A job's own code. None means: the result follows from the counters."""

LEASE = timedelta(seconds=20)
RENEW_SECONDS = 2.0
IDLE_SECONDS = 0.5
RETRY_SECONDS, LONGEST_RETRY = 1.0, 3600.0  # first and longest wait after PostgreSQL refused an attempt for now


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at once: threads of this process, and jobs of one account over all processes."""

    threads: int = 4
    per_account: int = 4


def worker_name() -> str:
    """A name that no other process and no other start of this process has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class WorkerLoop:
    """Runs the jobs of a service until `stop` is set.

    `result_from_error` gives the result of a job that a platform's exception ended; None for any other exception.
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
        self._context = WorkerContext(
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
        # Claims are serialized, so that no other job is claimed together with a suspect.
        self._claiming = threading.Lock()
        # While PostgreSQL was away no lease could be renewed: owners renew first, before leases count as expired.
        self._leases_expire_from = float("-inf")
        self._claimer = Claimer(self.owner, list(handlers), contract_version(), LEASE, limits.per_account)
        self._consumer = RequestConsumer(
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
        """Block until `stop`; then requeue every row at its checkpoint and send the outbox.

        A thread that dies of an unexpected error ends the process, so that its supervisor starts it again.
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
        consumer = threading.Thread(target=guarded(self._consumer.run, stop), name="request-consumer", daemon=True)
        leases = threading.Thread(target=guarded(self._renew_leases, released), name="leases", daemon=True)
        outbox = threading.Thread(target=guarded(self._outbox.run, released), name="outbox", daemon=True)
        sweeps = threading.Thread(target=guarded(self._sweep, stop), name="retention", daemon=True)
        for thread in (consumer, leases, outbox, sweeps, *workers):
            thread.start()
        while not stop.wait(1):
            pass
        self._running.interrupt_all(WorkerStopping("the worker stops"))
        self._notify()
        for thread in (*workers, consumer):
            thread.join()
        released.set()
        self._outbox.notify()
        for thread in (outbox, leases):
            thread.join()
        self._producer.flush(5)
        if failures:
            raise failures[0]

    def _sweep(self, stop: threading.Event) -> None:
        sweep_hourly(self._pool, self._context.clock, stop)

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
                if not _may_pass(error):
                    raise
                self._note_away(error)
                log.warning("worker waits for PostgreSQL", reason=str(error).strip())
                stop.wait(1)

    def _note_away(self, error: Exception) -> None:
        if is_away(error):
            self._leases_expire_from = self._context.clock.monotonic() + LEASE.total_seconds()

    def _claim(self) -> RunningJob | None:
        if not self._claiming.acquire(timeout=IDLE_SECONDS):
            return None
        try:
            with self._pool.connection() as conn:
                inbox.lock_claims(conn)
                if self._context.clock.monotonic() >= self._leases_expire_from:
                    for job_id, attempt, crashes in inbox.note_crashes(conn):
                        log.warning("lease expired", job=job_id, attempt=attempt, crashes=crashes)
                claim = inbox.claim(conn, self._claimer, only_ends=self._running.has_suspect())
                job = None if claim is None else self._begin(conn, claim)
            if job is not None:
                self._running.add(job)
        finally:
            self._claiming.release()
        self._outbox.notify()
        return job

    def _begin(self, conn: Connection, claim: Claim) -> RunningJob | None:
        """The attempt; None where this version cannot read the request: the job ends, or waits for another version."""
        guard = inbox.Guard(claim.job_id, claim.attempt, self.owner)
        try:
            job = RunningJob(claim, self._context, self.owner)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
            log.exception("stored request cannot be read", job=claim.job_id)
            event = finished_unreadable(claim, self._context.source, self._context.clock.now(), str(error))
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
        bound.info("attempt started")
        try:
            self._finish(job, bound, stop)
        except LeaseLost as lost:
            bound.warning("lease lost", reason=str(lost))
        finally:
            self._running.discard(job)
            self._context.progress.forget(job.id)
            self._outbox.notify()
            self._notify()

    def _finish(self, job: RunningJob, bound: structlog.stdlib.BoundLogger, stop: threading.Event) -> None:
        """Run the attempt and write its result, however long PostgreSQL is away meanwhile."""
        try:
            result = self._attempt(job, bound)
        except psycopg.Error as error:
            if not _may_pass(error):
                raise
            bound.warning("attempt interrupted by PostgreSQL", reason=sql_error_text(error))
            self._note_away(error)
            result = self._after_refusal(job, error)
        self._write_until_done(lambda: self._settle(job, result), stop)

    def _after_refusal(self, job: RunningJob, error: psycopg.Error) -> JobResult | None:
        """None for another attempt after PostgreSQL interrupted this one; a result after MAX_ATTEMPTS refusals."""
        if is_away(error):
            return None
        job.failures = 0 if job.stepped else job.failures + 1
        if job.failures >= MAX_ATTEMPTS:
            return result_from_refusals(error, job.failures)
        job.progress(f"waiting: {sql_error_text(error)}; refused {job.failures} of {MAX_ATTEMPTS} times")
        job.retry_after = timedelta(seconds=backoff(max(job.failures, 1), RETRY_SECONDS, LONGEST_RETRY))
        return None

    def _write_until_done(self, write: Callable[[], None], stop: threading.Event) -> None:
        """Repeat a write that PostgreSQL refuses for now, until the lease is lost or the worker stops."""
        while True:
            try:
                return write()
            except psycopg.Error as error:
                if not _may_pass(error) or stop.is_set():
                    raise
                self._note_away(error)
                log.warning("result of an attempt not written", reason=sql_error_text(error))
                stop.wait(1)

    def _attempt(self, job: RunningJob, bound: structlog.stdlib.BoundLogger) -> JobResult | None:
        """The result of the job; None where its row is requeued for another attempt."""
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
            bound.info("job requeued", reason=str(interrupted))
            return None
        except (JobFailed, InvalidRequest) as failed:
            return result_from_failure(failed)
        except Exception as error:
            if _may_pass(error):
                raise
            result = self._result_from_error(error)
            if result is not None:
                return result
            bound.exception("job code failed")
            return result_from_bug(error)

    def _work_on(self, job: RunningJob) -> JobResult:
        if job.only_ends:
            return result_from_crashes(job.crashes)
        if job.suspect:
            self._running.isolate(job)
        read_params(job.type, job.request.data.params)
        return self._handlers[job.type](job) or result_from_counters(job.counters)

    def _settle(self, job: RunningJob, result: JobResult | None) -> None:
        if result is None:
            with self._pool.connection() as conn:
                job.guard.release(conn, job.spent_ms(), job.failures, job.retry_after)
            return
        try:
            self._end(job, result)
        except LeaseLost:
            raise
        except Exception as error:
            if _may_pass(error):
                raise
            log.exception("end of a job fits into no event", job=job.id)
            job.counters = JobCounters()
            self._end(job, result_from_bug(error))

    def _end(self, job: RunningJob, result: JobResult) -> None:
        event = finished(job, result)
        decode(encode_own(event))  # raises here what every reader would refuse
        with self._pool.connection() as conn:
            job.guard.finish(conn, event.data.outcome, msgspec.to_builtins(job.counters), event.data.duration_ms)
            inbox.put_event(conn, self._topics.events, job.id, event)
        log.info("job ended", job=job.id, type=job.type, outcome=event.data.outcome)

    def _renew_leases(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_SECONDS):
            jobs = self._running.all()
            if jobs:
                try:
                    self._renew(jobs)
                except psycopg.Error as error:
                    if not _may_pass(error):
                        raise
                    self._note_away(error)
                    log.warning("leases not renewed", reason=str(error).strip())
            self._context.progress.beat(jobs)

    def _renew(self, jobs: list[RunningJob]) -> None:
        with self._pool.connection() as conn:
            renewals = {row.job_id: row for row in inbox.renew(conn, self.owner, [job.id for job in jobs], LEASE)}
        for job in jobs:
            row = renewals.get(job.id)
            if row is None or row.attempt != job.attempt:
                # Also interrupts a job that has just ended here, which has no effect.
                job.interrupt(LeaseLost(f"job {job.id}: the lease expired"))
            elif row.cancel_requested is not None:
                job.interrupt(JobCancelled(row.cancel_requested))
            elif row.paused:
                job.interrupt(JobPaused("paused"))


def _may_pass(error: Exception) -> bool:
    """Whether the same statement may succeed later, so that no thread ends."""
    return is_away(error) or is_transient(error)
