"""Choreography: which job follows which. Pure; the same parents always make the same child."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from job_events.events import Counters, ErrorInfo, Finished, FinishedData, JobInfo, Requested, RequestedData, Then

_NAMESPACE = UUID("5f0c2a52-8f0b-5d0e-9f7c-6a1d0e6f4b11")
GOES_ON = frozenset({"success", "partial"})


@dataclass(frozen=True, slots=True)
class Parent:
    """The newest finished job of one type in a chain."""

    parent_type: str
    parent_id: str
    outcome: str
    finished_at: datetime


def child_id(parents: Sequence[Parent], job_type: str) -> str:
    """The id of the job that these parents lead to. A retried parent is another parent: another child."""
    names = ",".join(sorted(parent.parent_id for parent in parents))
    return str(uuid5(_NAMESPACE, f"{names}:{job_type}"))


def next_job(finished: Finished, step: Then, parents: Sequence[Parent], source: str) -> Requested | Finished | None:
    """What follows: the child's request, its end as skipped because a parent failed, or nothing yet.

    Every byte depends on the parents alone, so that reading their ends twice makes no second child.
    """
    if {parent.parent_type for parent in parents} != set(step.needs):
        return None
    job_id = child_id(parents, step.type)
    time = max(parent.finished_at for parent in parents).astimezone(UTC)
    ids = tuple(sorted(parent.parent_id for parent in parents))
    info = JobInfo(step.type, finished.data.job.account, finished.data.job.batch, finished.data.job.about)
    broken = sorted(p.parent_type for p in parents if p.outcome not in GOES_ON)
    if not broken:
        return Requested(
            specversion="1.0",
            id=f"{job_id}/0/0",
            source=source,
            job_id=job_id,
            time=time,
            tenant=finished.tenant,
            correlationid=finished.correlationid,
            causationid=ids[0],
            traceparent=finished.traceparent,
            data=RequestedData(job=info, params=step.params, then=step.then, requested_by="chain", parents=ids),
        )
    why = ", ".join(f"{p.parent_type} ended as {p.outcome}" for p in parents if p.parent_type in broken)
    return Finished(
        specversion="1.0",
        id=f"{job_id}/0/1",
        source=source,
        job_id=job_id,
        time=time,
        tenant=finished.tenant,
        correlationid=finished.correlationid,
        causationid=ids[0],
        traceparent=finished.traceparent,
        data=FinishedData(
            job=info,
            attempt=0,
            seq=1,
            outcome="skipped",
            counters=Counters(),
            error=ErrorInfo("CANCELLED", "PARENT_FAILED", f"not started because {why}"),
            then=step.then,
        ),
    )
