"""The lifecycle events of an attempt, and how it ends."""

import psycopg

from job_events.envelope import encode_own
from job_events.errors import InvalidRequest
from job_events.events import ErrorInfo, Finished, FinishedData, RequestCopy, Started, StartedData
from service_kit.database import sql_error_text
from worker.ends import MAX_EVENT, shortened
from worker.errors import JobFailed
from worker.job import JobResult, RunningJob


def result_from_outcome(job: RunningJob) -> JobResult:
    """An ending by the counters: nothing failed is success, something failed is partial, all failed is failure."""
    counters = job.counters
    if counters.failed == 0:
        return JobResult("success")
    if counters.failed < counters.processed:
        return JobResult("partial")
    return JobResult("failure", ErrorInfo("PLATFORM_ERROR", "ALL_ITEMS_FAILED", f"all {counters.failed} items failed"))


def ended_as_failure(error: JobFailed | InvalidRequest) -> JobResult:
    """The job's own code says how it fails, or its request does."""
    if isinstance(error, InvalidRequest):
        return JobResult("failure", ErrorInfo("VALIDATION_FAILED", "INVALID_REQUEST", str(error)[:4096]))
    return JobResult("failure", ErrorInfo(error.category, error.code[:512], error.message[:4096]))


def broken(error: Exception) -> JobResult:
    """An exception that the job's code did not foresee. Its text may hold secrets, so only its type is shown."""
    name = type(error).__name__
    return JobResult("error", ErrorInfo("INTERNAL", name[:512], f"{name[:512]} in the worker; its log has the details"))


def poisoned(crashes: int) -> JobResult:
    """The job ended its worker process each time."""
    message = f"the worker process ended during {crashes} attempts in a row, and none made progress; not tried again"
    return JobResult("error", ErrorInfo("INTERNAL", "POISON_JOB", message))


def refused_by_postgres(error: psycopg.Error, failures: int) -> JobResult:
    """PostgreSQL refused the job's statements for now, but each time."""
    said = sql_error_text(error)
    message = f"PostgreSQL refused {failures} attempts in a row, and none made progress: {said}"
    return JobResult("error", ErrorInfo("INTERNAL", error.sqlstate or "POSTGRESQL", message[:4096]))


def started(job: RunningJob) -> Started:
    """The event of an attempt that begins."""
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
            worker=job.context.worker,
            total=job.counters.snapshot().total,
        ),
    )


def finished(job: RunningJob, ending: JobResult) -> Finished:
    """The event of a job that ends; a shorter one, which says so, where it would be too large to be sent."""
    request = job.request
    seq = job.next_seq()
    event = Finished(
        **job.attributes(seq),
        data=FinishedData(
            job=request.data.job,
            attempt=job.attempt,
            seq=seq,
            outcome=ending.outcome,
            counters=job.counters.snapshot(),
            metadata=job.metadata(),
            error=ending.error,
            duration_ms=job.spent_ms(),
            then=request.data.then,
        ),
    )
    size = len(encode_own(event))
    return event if size <= MAX_EVENT else shortened(event, size)
