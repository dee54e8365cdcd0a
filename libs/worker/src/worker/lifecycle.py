"""The lifecycle events of an attempt: its start, and the end of its job."""

from job_events.envelope import encode_own
from job_events.events import Finished, FinishedData, RequestCopy, Started, StartedData
from worker.ends import MAX_EVENT, shortened
from worker.job import RunningJob
from worker.job_result import JobResult


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


def finished(job: RunningJob, result: JobResult) -> Finished:
    """The event of a job that ends; shortened, with an error that says so, where it is too large for Kafka."""
    request = job.request
    seq = job.next_seq()
    event = Finished(
        **job.attributes(seq),
        data=FinishedData(
            job=request.data.job,
            attempt=job.attempt,
            seq=seq,
            outcome=result.outcome,
            counters=job.counters.snapshot(),
            metadata=job.metadata(),
            error=result.error,
            duration_ms=job.spent_ms(),
            then=request.data.then,
        ),
    )
    size = len(encode_own(event))
    return event if size <= MAX_EVENT else shortened(event, size)
