"""The requests of a run: one event for each first job of its job type or chain. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from job_events.chains import CHAINS, Chain, FirstJob
from job_events.envelope import encode_own
from job_events.events import JobInfo, Requested, RequestedData
from job_events.job_types import JOB_TYPES, default_priority
from job_tracker.scheduler.planning import planned_job_id

SOURCE = "jobtrail/job-tracker/scheduler"


@dataclass(frozen=True, slots=True)
class RunRequests:
    """What a run asks for: `events[i]`, as JSON, of `services[i]`. job_types: all of the run, chain steps included."""

    job_ids: list[str]
    job_types: list[str]
    services: list[str]
    events: list[str]


def run_requests(
    *,
    schedule_id: str,
    run_id: str,
    tenant: str,
    account: str,
    target: Chain,
    planned_at: datetime,
    now: datetime,
) -> RunRequests:
    """The requests of the run that is planned at this instant. Their ids depend on the plan alone, never on `now`."""
    made = RunRequests([], list(target.types()), [], [])
    for job in target.first:
        job_id = planned_job_id(schedule_id, account, job.type, planned_at)
        event = Requested(
            specversion="1.0",
            id=f"{job_id}/0/0",
            source=SOURCE,
            job_id=job_id,
            time=now,
            tenant=tenant,
            correlationid=run_id,
            data=RequestedData(
                params=job.params,
                priority=default_priority(job.type, job.params),
                then=target.then,
                requested_by=f"schedule:{schedule_id}",
                job=JobInfo(job.type, account),
            ),
        )
        made.job_ids.append(job_id)
        made.services.append(JOB_TYPES[job.type].service)
        made.events.append(encode_own(event).decode())
    return made


def target_of(job_type: str | None, chain: str | None, params: dict[str, Any]) -> Chain:
    """What a schedule starts, as a chain: the chain of this name, or one job without steps behind it."""
    return CHAINS[chain] if chain is not None else Chain((FirstJob(job_type or "", params),))
