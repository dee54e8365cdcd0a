"""Chains: which job follows which. Pure; the same parents always give the same child."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from job_events.events import ErrorInfo, Finished, JobInfo, Requested, RequestedData, Then
from worker.ends import finished_without_attempt

_NAMESPACE = UUID("5f0c2a52-8f0b-5d0e-9f7c-6a1d0e6f4b11")
CONTINUING_OUTCOMES = frozenset({"success", "partial"})


@dataclass(frozen=True, slots=True)
class Parent:
    """The newest finished job of one type in a chain."""

    parent_type: str
    parent_id: str
    outcome: str
    finished_at: datetime


def child_id(parents: Sequence[Parent], job_type: str) -> str:
    """The id of the job that follows these parents. A retried parent has another id, and so has its child."""
    names = ",".join(sorted(parent.parent_id for parent in parents))
    return str(uuid5(_NAMESPACE, f"{names}:{job_type}"))


def next_job(finished: Finished, step: Then, parents: Sequence[Parent], source: str) -> Requested | Finished | None:
    """The child's request, its end as skipped because a parent failed, or None while a parent is missing.

    Every byte depends on the parents alone, so that reading their ends twice gives the same event.
    """
    if {parent.parent_type for parent in parents} != set(step.needs):
        return None
    job_id = child_id(parents, step.type)
    time = max(parent.finished_at for parent in parents).astimezone(UTC)
    ids = tuple(sorted(parent.parent_id for parent in parents))
    info = JobInfo(step.type, finished.data.job.account, finished.data.job.batch, finished.data.job.about)
    failed = sorted(p.parent_type for p in parents if p.outcome not in CONTINUING_OUTCOMES)
    if not failed:
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
    why = ", ".join(f"{p.parent_type} ended as {p.outcome}" for p in parents if p.parent_type in failed)
    return finished_without_attempt(
        job_id=job_id,
        job=info,
        source=source,
        time=time,
        tenant=finished.tenant,
        chain=finished.correlationid,
        outcome="skipped",
        error=ErrorInfo("CANCELLED", "PARENT_FAILED", f"not started because {why}"),
        seq=1,
        parent=ids[0],
        traceparent=finished.traceparent,
        then=step.then,
    )
