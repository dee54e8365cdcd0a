"""Job requests and controls, as the API produces them to a service's topic."""

import uuid
from datetime import UTC, datetime
from typing import Any

from job_events.events import (
    Cancel,
    Control,
    ControlData,
    ControlTarget,
    JobInfo,
    Pause,
    Requested,
    RequestedData,
    Resume,
)

CONTROLS: dict[str, type[Control]] = {"cancel": Cancel, "pause": Pause, "resume": Resume}


def job_request(job_type: str, tenant: str, account: str, **params: Any) -> Requested:
    """A request for a new job in a new chain."""
    job_id = str(uuid.uuid4())
    return Requested(
        specversion="1.0",
        id=f"{job_id}/0/0",
        source="jobtrail/test",
        job_id=job_id,
        time=datetime.now(UTC),
        tenant=tenant,
        correlationid=job_id,
        data=RequestedData(job=JobInfo(job_type, account), params=params),
    )


def job_control(verb: str, tenant: str, job_id: str) -> Control:
    """A `cancel`, `pause` or `resume` of a job."""
    return CONTROLS[verb](
        specversion="1.0",
        id=str(uuid.uuid4()),
        source="jobtrail/test",
        job_id=job_id,
        time=datetime.now(UTC),
        tenant=tenant,
        correlationid=job_id,
        data=ControlData(target=ControlTarget("job", job_id), requested_by="lan", reason="a test"),
    )


def request_of_unknown_account() -> Requested:
    """A request of an unknown account: the job fails at once and no platform is needed."""
    return job_request("PULL_NHANH_PRODUCTS", "demo", "nobody")
