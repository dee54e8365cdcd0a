"""The schedule of the earlier system: its automatic sync of customers, here for all accounts of a tenant."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from job_tracker.api.deps import Parts, PartsNow, Tenant
from job_tracker.api.earlier_routes import EarlierFields
from job_tracker.api.job_requests import Actor, Name
from job_tracker.api.problems import Json
from job_tracker.api.schedule_store import ScheduleFields, fields_of, next_runs, timing_of
from job_tracker.api.tenancy import scope_condition, scope_values
from job_tracker.errors import Problem
from job_tracker.scheduler.timing import LONGEST_CRON
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
JOB_TYPE = "AUTO_SYNC_CUSTOMERS"
PATH = "/api/sync/schedule/global"
Row = dict[str, Any]
router = APIRouter(tags=["earlier system"])


class EarlierScheduleBody(EarlierFields):
    """A cron expression in the time of Vietnam; the stored one stays if it is left out.

    The tenant can be left out where there is only one.
    """

    tenant: Name | None = None
    enabled: bool = True
    schedule: Annotated[str, Field(max_length=LONGEST_CRON)] | None = None


@router.get(PATH)
async def show_schedule(*, parts: PartsNow, tenant: Tenant = None) -> Response:
    """The schedule of AUTO_SYNC_CUSTOMERS for all accounts of the tenant, as GET /schedules has it."""
    return _answer(await _stored(parts, await _tenant(parts, tenant)))


@router.post(PATH)
async def change_schedule(*, parts: PartsNow, body: EarlierScheduleBody, actor: Actor = "api") -> Response:
    """Create, change, pause or resume it. `enabled: false` pauses."""
    tenant = await _tenant(parts, body.tenant)
    stored = await _stored(parts, tenant)
    if body.schedule is None and stored is None:
        reason = "is needed: a cron expression such as 0 */6 * * *; there is no schedule yet"
        raise Problem(422, f"schedule {reason}", [("schedule", reason)])
    fields = fields_of(stored) if body.schedule is None and stored else ScheduleFields(cron=body.schedule)
    made = await parts.schedules.put_for_all_accounts(tenant, fields, actor, job_type=JOB_TYPE, paused=not body.enabled)
    return _answer(made)


async def _stored(parts: Parts, tenant: str) -> Row | None:
    rows = await parts.schedules.of_all_accounts(tenant)
    return next((row for row in rows if row["job_type"] == JOB_TYPE), None)


async def _tenant(parts: Parts, given: str | None) -> str:
    """The tenant that is meant, which has an account.

    Raises:
        Problem: 422 where there is none, or more than one and no name.
    """
    statement = _SQL["tenants_named"].format(scope=scope_condition(parts.scope))
    async with parts.reader.snapshot() as connection:
        values = {"tenant": given} | scope_values(parts.scope)
        rows = await (await connection.execute(statement, values)).fetchall()
    if len(rows) == 1:
        return rows[0]["tenant"]
    reason = "is needed: there is more than one" if rows else "has no account"
    raise Problem(422, f"tenant {reason}", [("tenant", reason)])


def _answer(row: Row | None) -> Response:
    if row is None:
        return Json({"success": True, "data": {"enabled": False, "schedule": None}, "message": "There is no schedule."})
    data = {
        "enabled": not row["paused"],
        "schedule": row["cron"],
        "scheduleId": row["schedule_id"],
        "timezone": row["timezone"],
        "nextRuns": next_runs(row),
    }
    message = f"{JOB_TYPE} of all accounts of {row['tenant']}: {timing_of(row).words()}."
    return Json({"success": True, "data": data, "message": message})
