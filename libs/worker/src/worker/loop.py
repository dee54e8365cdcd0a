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

from job_events.job_types import contract_version, unknown_here
from job_events.topics import Topics
from service_kit.clock import Clock
from service_kit.database import is_away
from service_kit.kafka import MonitoredConsumer, ReconnectingProducer
from worker import claims, inbox
from worker.attempt import AttemptRunner, Handler, may_pass
from worker.claims import Claim, Claimer
from worker.eligibility import Eligibility
from worker.ends import finished_unreadable
from worker.errors import JobCancelled, JobPaused, LeaseLost, WorkerStopping
from worker.inbox import Unread
from worker.isolation import RunningJobs
from worker.job import RunningJob, WorkerContext
from worker.job_result import JobResult
from worker.lifecycle import started
from worker.outbox import OutboxSender
from worker.progress import ProgressSender
from worker.request_consumer import RequestConsumer
from worker.retention import sweep_hourly

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=20)
RENEW_SECONDS = 2.0
IDLE_SECONDS = 0.5
WAKE_SECONDS, ADOPTION_SECONDS = 0.2, 1.0  # between two looks for deferred rows, and for rows of other releases


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
        self._pool = pool
        self._topics = topics
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
        self._attempts = AttemptRunner(handlers, self._context, self._running, result_from_error, self._note_away)
        # Claims are serialized, so that no other job is claimed together with a suspect.
        self._claiming = threading.Lock()
        # While PostgreSQL was away no lease could be renewed: owners renew first, before leases count as expired.
        self._leases_expire_from = float("-inf")
        self._next_wake = self._next_adoption = float("-inf")
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
                if not may_pass(error):
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
            self._make_claimable()
            with self._pool.connection() as conn:
                claim = claims.claim(conn, self._claimer, only_ends=self._running.has_suspect())
                job = None if claim is None else self._begin(conn, claim)
            if job is not None:
                self._running.add(job)
        finally:
            self._claiming.release()
        self._outbox.notify()
        return job

    def _make_claimable(self) -> None:
        """What changes with time alone: expired leases, deferred rows, rows of other releases."""
        now = self._context.clock.monotonic()
        if now < self._next_wake:
            return
        with self._pool.connection() as conn:
            if now >= self._leases_expire_from:
                for job_id, attempt, crashes in claims.note_crashes(conn):
                    log.warning("lease expired", job=job_id, attempt=attempt, crashes=crashes)
            claims.wake(conn)
        if now >= self._next_adoption:
            with self._pool.connection() as conn:
                claims.adopt(conn, self._claimer.version)
            self._next_adoption = now + ADOPTION_SECONDS
        self._next_wake = now + WAKE_SECONDS

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
            params = job.request.data.params
            reason = unknown_here(job.type, params)
            if reason is not None:
                guard.keep(conn, Unread(reason, self._claimer.version))
                log.warning("job waits for another version", job=claim.job_id, reason=reason)
                return None
            eligibility = Eligibility.of(job.type, params)
            if eligibility != claim.eligibility:
                guard.correct(conn, eligibility)
                return None
            inbox.put_event(conn, self._topics.events, job.id, started(job))
        return job

    def _run(self, job: RunningJob, stop: threading.Event) -> None:
        if stop.is_set():
            job.interrupt(WorkerStopping("the worker stops"))
        bound = log.bind(job=job.id, type=job.type, attempt=job.attempt)
        bound.info("attempt started")
        try:
            self._attempts.run(job, bound, stop)
        except LeaseLost as lost:
            bound.warning("lease lost", reason=str(lost))
        finally:
            self._running.discard(job)
            self._context.progress.forget(job.id)
            self._outbox.notify()
            self._notify()

    def _renew_leases(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_SECONDS):
            jobs = self._running.all()
            if jobs:
                try:
                    self._renew(jobs)
                except psycopg.Error as error:
                    if not may_pass(error):
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
