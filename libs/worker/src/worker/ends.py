"""Finished events that no running attempt writes, and finished events that fit into a message. Pure."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from job_events.events import Counters, ErrorInfo, Event, Finished, FinishedData, JobInfo, Outcome, Requested, Then
from worker.claims import Claim

MAX_EVENT = 2_000_000
"""Bytes of an event; a topic takes messages of 2 MiB, envelope included."""


def shortened(event: Finished, size: int) -> Finished:
    """The same event without its metadata, as an error; also without `then`, where that is large itself."""
    data = event.data
    message = f"the job ended as {data.outcome}, but its event has {size:,} bytes and cannot be sent; left out:"
    # Where the metadata is what is large, what follows the job is kept.
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


def finished_without_attempt(
    *,
    job_id: str,
    job: JobInfo,
    source: str,
    time: datetime,
    tenant: str,
    chain: str,
    outcome: Outcome,
    error: ErrorInfo,
    attempt: int = 0,
    seq: int = 0,
    parent: str | None = None,
    traceparent: str | None = None,
    duration_ms: int = 0,
    then: tuple[Then, ...] = (),
) -> Finished:
    """The end of a job whose code did not run in this attempt."""
    return Finished(
        specversion="1.0",
        id=f"{job_id}/{attempt}/{seq}",
        source=source,
        job_id=job_id,
        time=time,
        tenant=tenant,
        correlationid=chain,
        causationid=parent,
        traceparent=traceparent,
        data=FinishedData(
            job=job,
            attempt=attempt,
            seq=seq,
            outcome=outcome,
            counters=Counters(),
            error=error,
            duration_ms=duration_ms,
            then=then,
        ),
    )


def finished_unreadable(claim: Claim, source: str, time: datetime, reason: str) -> Finished:
    """The end of a job whose stored request cannot be read; its row describes it."""
    if claim.cancel_requested is not None:
        outcome: Outcome = "cancelled"
        error = ErrorInfo("CANCELLED", "CANCELLED", claim.cancel_requested[:4096])
    else:
        outcome = "error"
        error = ErrorInfo("INTERNAL", "POISON_JOB", f"the stored request cannot be read: {reason}"[:4096])
    return finished_without_attempt(
        job_id=claim.job_id,
        job=JobInfo(claim.job_type, claim.account),
        source=source,
        time=time,
        tenant=claim.tenant,
        chain=claim.chain,
        outcome=outcome,
        error=error,
        attempt=claim.attempt,
        seq=2,
        duration_ms=claim.spent_ms,
    )


def finished_unstarted(
    event: Event, job: JobInfo, *, source: str, time: datetime, outcome: Outcome, error: ErrorInfo, seq: int = 0
) -> Finished:
    """The end of a job that was never started. It keeps `then`, so that the steps behind it end too."""
    return finished_without_attempt(
        job_id=event.job_id,
        job=job,
        source=source,
        time=time,
        tenant=event.tenant,
        chain=event.correlationid,
        outcome=outcome,
        error=error,
        seq=seq,
        parent=event.causationid,
        then=event.data.then if isinstance(event, Requested) else (),
    )
