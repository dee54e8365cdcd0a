"""Ends of jobs that no running attempt writes, and ends that fit into a message. Pure."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from job_events.events import Counters, ErrorInfo, Event, Finished, FinishedData, JobInfo, Outcome, Requested
from worker.inbox import Claim

MAX_EVENT = 2_000_000
"""Bytes of an event; a topic takes 2 MiB with what surrounds it on its way."""


def shortened(event: Finished, size: int) -> Finished:
    """The same end without its metadata, as an error; without what follows, too, where that is large itself."""
    data = event.data
    message = f"the job ended as {data.outcome}, but its event has {size:,} bytes and cannot be sent; left out:"
    # Where metadata is what is large, what follows the job is kept.
    kept_then = 2 * len(msgspec.json.encode(data.then)) < size
    message += " its metadata" if kept_then else " its metadata and what follows it"
    return replace(
        event,
        data=replace(
            data,
            outcome="error",
            metadata={},
            error=ErrorInfo("INTERNAL", "EVENT_TOO_LARGE", message),
            then=data.then if kept_then else (),
        ),
    )


def ended_unread(claim: Claim, source: str, time: datetime, reason: str) -> Finished:
    """The end of a job whose stored request cannot be read: described by its row alone."""
    if claim.cancel_requested is not None:
        outcome: Outcome = "cancelled"
        error = ErrorInfo("CANCELLED", "CANCELLED", claim.cancel_requested[:4096])
    else:
        outcome = "error"
        error = ErrorInfo("INTERNAL", "POISON_JOB", f"the stored request cannot be read: {reason}"[:4096])
    return Finished(
        specversion="1.0",
        id=f"{claim.job_id}/{claim.attempt}/2",
        source=source,
        job_id=claim.job_id,
        time=time,
        tenant=claim.tenant,
        correlationid=claim.chain,
        data=FinishedData(
            job=JobInfo(claim.job_type, claim.account),
            attempt=claim.attempt,
            seq=2,
            outcome=outcome,
            counters=Counters(),
            error=error,
            duration_ms=claim.spent_ms,
        ),
    )


def ended_unrun(
    event: Event,
    job: JobInfo,
    *,
    source: str,
    time: datetime,
    outcome: Outcome,
    error: ErrorInfo,
    seq: int = 0,
) -> Finished:
    """The end of a job that no attempt was made at. A step that should follow it learns that it did not succeed."""
    return Finished(
        specversion="1.0",
        id=f"{event.job_id}/0/{seq}",
        source=source,
        job_id=event.job_id,
        time=time,
        tenant=event.tenant,
        correlationid=event.correlationid,
        causationid=event.causationid,
        data=FinishedData(
            job=job,
            attempt=0,
            seq=seq,
            outcome=outcome,
            counters=Counters(),
            error=error,
            then=event.data.then if isinstance(event, Requested) else (),
        ),
    )
