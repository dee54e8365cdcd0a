"""Delete finished jobs that are older than a date: one event a job, a page of jobs a request."""

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from job_events.events import JobInfo
from job_events.tokens import encode_token
from job_tracker.api.deps import PartsNow, list_query
from job_tracker.api.job_requests import Actor, Name, StrictBody, accepted, acknowledged
from job_tracker.api.jobs import JOBS
from job_tracker.api.listing import page
from job_tracker.api.rollup_totals import rollup_totals

Finished = Literal["COMPLETED", "MIXED", "FAILED", "CANCELLED"]
FINISHED: tuple[Finished, ...] = ("COMPLETED", "MIXED", "FAILED", "CANCELLED")
MAX_DELETED = 1000  # jobs of one request, whose events are sent together
router = APIRouter(tags=["commands"])


class DeletionBody(StrictBody):
    """Which finished jobs are deleted. `cursor` is `next` of the answer before, with the same other fields."""

    finished_before: AwareDatetime
    tenant: Name | None = None
    account: Name | None = None
    type: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = None
    status: Annotated[list[Finished], Field(min_length=1)] | None = None
    reason: Annotated[str, Field(max_length=4096)] = ""
    cursor: Annotated[str, Field(max_length=2048)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_DELETED)] = 500


@router.post("/jobs/delete", status_code=202)
async def delete_jobs(*, parts: PartsNow, body: DeletionBody, actor: Actor = "api") -> Response:
    """Delete the finished jobs of one page for good, as `DELETE /jobs/{job_id}` does.

    The answer says how many jobs were `checked` and `deleted`, and where the `next` page begins; null after the last
    one. `total` counts the finished jobs that were created before the date. A job that is not finished is never
    deleted.
    """
    filters: dict[str, str | list[str] | None] = {
        "status": [*(body.status or FINISHED)],
        "job_type": body.type,
        "tenant": body.tenant,
        "account": body.account,
    }
    request = list_query(parts.scope, filters, None, body.cursor, body.limit)
    # What ended before the date was created before it; the lists are in the order of creation.
    request.ranges = {"created_at": (None, body.finished_before)}
    async with parts.reader.snapshot() as connection:
        found = await page(connection, JOBS, request, dict, "jobs", rollup_totals(JOBS, request))
    # The connection is free: nothing waits in PostgreSQL while Kafka takes the events.
    ended = [row for row in found["jobs"] if row["state"] == "finished" and row["e_at"] < body.finished_before]
    described = [(row, JobInfo(row["job_type"], row["account"], row["batch"])) for row in ended]
    token = encode_token({})
    if described:
        sending = parts.requests.delete_jobs(described, requested_by=actor, reason=body.reason)
        token = await acknowledged(sending)
    counts = {name: found[name] for name in ("next", "total", "total_exact")}
    return accepted({"deleted": len(ended), "checked": len(found["jobs"]), **counts, "token": token})
