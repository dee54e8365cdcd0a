"""Requests for jobs, as the API puts them on a service's topic."""

import uuid
from datetime import UTC, datetime
from typing import Any

from job_events.events import JobInfo, Requested, RequestedData


def job_request(job_type: str, tenant: str, account: str, **params: Any) -> Requested:
    """A new job, in a chain of its own."""
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


def request_of_nobody() -> Requested:
    """A job of an unknown account: its row says so, it ends at once, and no platform is needed."""
    return job_request("PULL_NHANH_PRODUCTS", "demo", "nobody")
