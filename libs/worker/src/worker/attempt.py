"""One attempt: it runs the job's code, and decides what becomes of the row."""

import threading
from collections.abc import Callable
from datetime import timedelta

import msgspec
import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from job_events.envelope import decode, encode_own
from job_events.errors import InvalidRequest
from job_events.events import ErrorInfo
from job_events.job_types import read_params
from service_kit.clock import backoff
from service_kit.database import is_away, is_transient, sql_error_text
from worker import inbox
from worker.deferral import PATIENCE
from worker.errors import Interrupted, JobCancelled, JobDeferred, JobFailed, JobPaused, JobTimedOut, LeaseLost
from worker.isolation import RunningJobs
from worker.job import RunningJob, WorkerContext
from worker.job_result import (
    JobCounters,
    JobResult,
    result_from_bug,
    result_from_counters,
    result_from_crashes,
    result_from_deadline,
    result_from_failure,
    result_from_lock,
    result_from_refusals,
    result_from_wait,
)
from worker.lifecycle import finished

log = structlog.get_logger(__name__)

Handler = Callable[[RunningJob], JobResult | None]
"""A job's own code. None means: the result follows from the counters."""

RETRY_SECONDS, LONGEST_RETRY = 1.0, 3600.0  # first and longest wait after PostgreSQL refused an attempt for now


class AttemptRunner:
    """Runs the attempts of one process; thread-safe.

    `result_from_error` gives the result of a job that a platform's exception ended; None for any other exception.
    `note_away` is called with each error of PostgreSQL that may pass.
    """

    def __init__(
        self,
        handlers: dict[str, Handler],
        context: WorkerContext,
        running: RunningJobs,
        result_from_error: Callable[[Exception], JobResult | None],
        note_away: Callable[[Exception], None],
    ) -> None:
        self._handlers = handlers
        self._context = context
        self._running = running
        self._result_from_error = result_from_error
        self._note_away = note_away

    def run(self, job: RunningJob, bound: structlog.stdlib.BoundLogger, stop: threading.Event) -> None:
        """Run the attempt and write its result, however long PostgreSQL is away meanwhile."""
        try:
            result = self._attempt(job, bound)
        except psycopg.Error as error:
            if not may_pass(error):
                raise
            bound.warning("attempt interrupted by PostgreSQL", reason=sql_error_text(error))
            self._note_away(error)
            if isinstance(error, LockNotAvailable):
                result = self._defer(job, _lock_wait(error), bound)
            else:
                result = self._after_refusal(job, error)
        self._write_until_done(lambda: self._settle(job, result), stop)

    def _after_refusal(self, job: RunningJob, error: psycopg.Error) -> JobResult | None:
        """None for another attempt after PostgreSQL interrupted this one; a result after the last of its type."""
        if is_away(error):
            return None
        attempts = job.policy.attempts
        job.failures = 0 if job.stepped else job.failures + 1
        if job.failures >= attempts:
            return result_from_refusals(error, job.failures)
        job.progress(f"waiting: {sql_error_text(error)}; refused {job.failures} of {attempts} times")
        job.retry_after = timedelta(seconds=backoff(max(job.failures, 1), RETRY_SECONDS, LONGEST_RETRY))
        return None

    def _defer(self, job: RunningJob, deferred: JobDeferred, bound: structlog.stdlib.BoundLogger) -> JobResult | None:
        """None where the row sleeps until the next attempt; the error that makes it wait after the retry timeout."""
        if job.defer(deferred):
            bound.info("job deferred", reason=str(deferred))
            job.phase = f"waiting: {deferred.reason}"[:512]
            self._context.progress.offer(job, now=True)
            return None
        cause = deferred.__cause__
        if isinstance(cause, psycopg.Error):
            return result_from_lock(cause, job.policy.retry_timeout)
        result = self._result_from_error(cause) if isinstance(cause, Exception) else None
        return result or result_from_wait(deferred, job.policy.retry_timeout)

    def _write_until_done(self, write: Callable[[], None], stop: threading.Event) -> None:
        """Repeat a write that PostgreSQL refuses for now, until the lease is lost or the worker stops."""
        while True:
            try:
                return write()
            except psycopg.Error as error:
                if not may_pass(error) or stop.is_set():
                    raise
                self._note_away(error)
                log.warning("result of an attempt not written", reason=sql_error_text(error))
                stop.wait(1)

    def _attempt(self, job: RunningJob, bound: structlog.stdlib.BoundLogger) -> JobResult | None:
        """The result of the job; None where its row is requeued for another attempt."""
        try:
            job.check()
            return self._work_on(job)
        except LeaseLost:
            raise
        except Interrupted as interrupted:
            return self._after_interruption(job, interrupted, bound)
        except (JobFailed, InvalidRequest) as failed:
            return result_from_failure(failed)
        except Exception as error:
            if may_pass(error):
                raise
            result = self._result_from_error(error)
            if result is not None:
                return result
            bound.exception("job code failed")
            return result_from_bug(error)

    def _after_interruption(
        self, job: RunningJob, interrupted: Interrupted, bound: structlog.stdlib.BoundLogger
    ) -> JobResult | None:
        match interrupted:
            case JobCancelled():
                return JobResult("cancelled", ErrorInfo("CANCELLED", "CANCELLED", str(interrupted)[:4096]))
            case JobTimedOut():
                return result_from_deadline(str(interrupted))
            case JobDeferred():
                return self._defer(job, interrupted, bound)
            case JobPaused():
                job.progress("paused")
            case _:
                pass
        bound.info("job requeued", reason=str(interrupted))
        return None

    def _work_on(self, job: RunningJob) -> JobResult:
        if job.only_ends:
            return result_from_crashes(job.crashes)
        if job.suspect:
            self._running.isolate(job)
        read_params(job.type, job.request.data.params)
        return self._handlers[job.type](job) or result_from_counters(job.counters)

    def _settle(self, job: RunningJob, result: JobResult | None) -> None:
        if result is None:
            with self._context.pool.connection() as conn:
                if job.deferral is not None:
                    counters = msgspec.to_builtins(job.counters)
                    job.guard.defer(conn, job.deferral, counters, job.spent_ms(), job.failures)
                    return
                job.guard.release(conn, job.spent_ms(), job.failures, job.retry_after)
            return
        try:
            self._end(job, result)
        except LeaseLost:
            raise
        except Exception as error:
            if may_pass(error):
                raise
            log.exception("end of a job fits into no event", job=job.id)
            job.counters = JobCounters()
            self._end(job, result_from_bug(error))

    def _end(self, job: RunningJob, result: JobResult) -> None:
        event = finished(job, result)
        decode(encode_own(event))  # raises here what every reader would refuse
        with self._context.pool.connection() as conn:
            job.guard.finish(conn, event.data.outcome, msgspec.to_builtins(job.counters), event.data.duration_ms)
            inbox.put_event(conn, self._context.topics.events, job.id, event)
        log.info("job ended", job=job.id, type=job.type, outcome=event.data.outcome)


def _lock_wait(error: LockNotAvailable) -> JobDeferred:
    """A lock that another transaction holds for longer than an attempt waits in its thread."""
    deferred = JobDeferred(PATIENCE, f"a lock of another job: {sql_error_text(error)}", exact=False)
    deferred.__cause__ = error
    return deferred


def may_pass(error: Exception) -> bool:
    """Whether the same statement may succeed later, so that no thread ends."""
    return is_away(error) or is_transient(error)
