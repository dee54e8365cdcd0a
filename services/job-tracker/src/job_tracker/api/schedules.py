"""Schedules: what starts jobs by the clock. List, show, create, change, pause, resume, delete."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field, model_validator

from job_tracker.api import answer_schemas
from job_tracker.api.command_publisher import request_hash
from job_tracker.api.commands import Params, ReasonBody
from job_tracker.api.deps import Account, Cursor, Limit, NoWait, Parts, PartsNow, Tenant, Wait, list_query
from job_tracker.api.freshness import AsyncConnection, WaitFor
from job_tracker.api.job_requests import Actor, Key, Name, StrictBody
from job_tracker.api.list_statements import Listing
from job_tracker.api.listing import exists, page
from job_tracker.api.problems import Json
from job_tracker.api.schedule_store import ScheduleFields, Target, fields_of, next_runs, timing_of
from job_tracker.domain.list_plans import IndexedFilter
from job_tracker.errors import IdempotencyKeyReused, Problem, UnknownSchedule
from job_tracker.scheduler.checks import MAX_JITTER
from job_tracker.scheduler.planning import MAX_CATCH_UP
from job_tracker.scheduler.timing import DEFAULT_ZONE, LONGEST_CRON, LONGEST_INTERVAL, SHORTEST_INTERVAL
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "schedules.sql")
Row = dict[str, Any]
SCHEDULES = Listing(
    source=("tracker", "schedule"),
    key=("created_at", "schedule_id"),
    key_types=(datetime, str),
    served=(
        IndexedFilter((), "schedule_newest"),
        IndexedFilter(("tenant",), "schedule_by_tenant"),
        IndexedFilter(("tenant", "account"), "schedule_by_account"),
    ),
    filters=("tenant", "account"),
    newest_first=True,
)
router = APIRouter(prefix="/schedules", tags=["schedules"])

Cron = Annotated[
    str, Field(max_length=LONGEST_CRON, description="five fields: minute, hour, day of month, month, weekday")
]
Every = Annotated[int, Field(strict=True, ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL)]
Zone = Annotated[str, Field(max_length=64, description="an IANA time zone")]
Jitter = Annotated[int, Field(strict=True, ge=0, le=MAX_JITTER, description="a run starts up to so many seconds later")]
CatchUp = Annotated[
    Literal["skip", "one", "all"],
    Field(description="which missed runs are made up: none, the newest, or all up to catch_up_limit"),
]
ScheduleId = Annotated[str, Path(max_length=128)]
CatchUpLimit = Annotated[int, Field(strict=True, ge=1, le=MAX_CATCH_UP)]


class ScheduleBody(StrictBody):
    """A schedule: of a job type or a chain, by a cron expression or an interval.

    account: null = all accounts that the tenant has whenever it runs.
    """

    tenant: Name
    account: Name | None
    type: Name | None = None
    chain: Name | None = None
    params: Params = Field(default_factory=dict)
    cron: Cron | None = None
    every_seconds: Every | None = None
    timezone: Zone = DEFAULT_ZONE
    jitter_seconds: Jitter = 0
    catch_up: CatchUp = "one"
    catch_up_limit: CatchUpLimit = 10
    paused: bool = False

    def fields(self) -> ScheduleFields:
        return ScheduleFields(**{name: getattr(self, name) for name in ScheduleFields.__dataclass_fields__})


class ScheduleChange(StrictBody):
    """The fields to change. A cron expression replaces an interval, and an interval a cron expression."""

    params: Params | None = None
    cron: Cron | None = None
    every_seconds: Every | None = None
    timezone: Zone | None = None
    jitter_seconds: Jitter | None = None
    catch_up: CatchUp | None = None
    catch_up_limit: CatchUpLimit | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.given():
            raise ValueError(f"give a field to change: {', '.join(type(self).model_fields)}")
        return self

    def given(self) -> Row:
        """The fields that have a value."""
        return self.model_dump(exclude_none=True)


@router.get("", responses=answer_schemas.SCHEDULES_PAGE)
async def list_schedules(
    *,
    parts: PartsNow,
    _: NoWait,
    tenant: Tenant = None,
    account: Account = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Schedules, newest first, with their next runs, and whether a scheduler is at work."""
    request = list_query(parts.scope, {"tenant": tenant, "account": account}, None, cursor, limit)

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        found = await page(connection, SCHEDULES, request, _shown, "schedules")
        return found | {"scheduler": await _scheduler(connection)}

    return await parts.reader.answer(read, WaitFor({}, 0))


@router.post("", status_code=201, responses=answer_schemas.MADE_SCHEDULE)
async def create_schedule(*, parts: PartsNow, body: ScheduleBody, actor: Actor = "api", key: Key = None) -> Response:
    """Create a schedule. The answer shows its times in words, and the next five runs."""
    target = Target(body.tenant, body.account, body.type, body.chain)
    await _known_accounts(parts, target)
    if key is None:
        made, headers = await parts.schedules.create(target, body.fields(), actor, paused=body.paused), {}
    else:
        made, headers = await _once(parts, key, body, target, actor)
    return Json({"schedule": _shown(made)}, 201, headers)


@router.get("/{schedule_id}", responses=answer_schemas.ONE_SCHEDULE)
async def show_schedule(
    *,
    parts: PartsNow,
    wait: Wait,
    schedule_id: ScheduleId,
    runs: Annotated[int, Query(ge=1, le=200, description="how many of the last runs")] = 20,
) -> Response:
    """A schedule with its next runs, and its last runs with their jobs."""

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        found = await (await connection.execute(_SQL["one"], {"schedule_id": schedule_id})).fetchone()
        if found is None or not parts.scope.holds(found["tenant"]):
            raise Problem(404, str(UnknownSchedule(schedule_id)), [("schedule_id", "is unknown")])
        return {
            "schedule": _shown(found),
            "runs": await _last_runs(connection, found, runs),
            "scheduler": await _scheduler(connection),
        }

    return await parts.reader.answer(read, wait)


@router.patch("/{schedule_id}", responses=answer_schemas.CHANGED_SCHEDULE)
async def change_schedule(
    *, parts: PartsNow, schedule_id: ScheduleId, body: ScheduleChange, actor: Actor = "api"
) -> Response:
    """Change a schedule. If its times change, the next run is the first after now."""
    return _changed(await parts.schedules.change(schedule_id, body.given(), actor, parts.scope))


@router.post("/{schedule_id}/{verb}", responses=answer_schemas.CHANGED_SCHEDULE)
async def control_schedule(
    *,
    parts: PartsNow,
    schedule_id: ScheduleId,
    verb: Literal["pause", "resume"],
    body: ReasonBody | None = None,
    actor: Actor = "api",
) -> Response:
    """Pause or resume a schedule. Runs that fall into a pause are not made up."""
    changed = await parts.schedules.pause(
        schedule_id, paused=verb == "pause", reason=body.reason if body else "", actor=actor, scope=parts.scope
    )
    return _changed(changed)


@router.delete("/{schedule_id}")
async def delete_schedule(*, parts: PartsNow, schedule_id: ScheduleId) -> Response:
    """Delete a schedule with its runs. Jobs that it has started stay and go on."""
    await parts.schedules.delete(schedule_id, parts.scope)
    return Json({"schedule_id": schedule_id})


def _shown(row: Row) -> Row:
    """A schedule as answers show it: with its times in words, and the next runs in its own time zone."""
    hidden = {"job_type", "anchor", "next_run_at"}
    return {name: value for name, value in row.items() if name not in hidden} | {
        "type": row["job_type"],
        "params": fields_of(row).params,
        "words": timing_of(row).words(),
        "next_runs": next_runs(row),
    }


def _changed(row: Row) -> Response:
    return Json({"schedule": _shown(row)})


async def _once(parts: Parts, key: str, body: ScheduleBody, target: Target, actor: str) -> tuple[Row, dict[str, str]]:
    """Create the schedule that belongs to the key, once; and the headers of the answer.

    Raises:
        InvalidRequest, Problem
    """
    body.fields().check(target, parts.schedules.clock.now())  # a key that comes with what is refused stays free
    asked = request_hash({"schedule": body.model_dump()})
    try:
        claim = await parts.keys.claim(body.tenant, key, asked, parts.requests.identity())
    except IdempotencyKeyReused:
        detail = "this Idempotency-Key came with another body before"
        raise Problem(422, detail, [("Idempotency-Key", "belongs to another request")]) from None
    schedule_id = claim.identity.job_id
    if claim.token is not None:
        return await parts.schedules.one(schedule_id, parts.scope), {"Idempotent-Replayed": "true"}
    made = await parts.schedules.create(target, body.fields(), actor, schedule_id=schedule_id, paused=body.paused)
    await parts.keys.settle(body.tenant, key, schedule_id)
    return made, {}


async def _known_accounts(parts: Parts, target: Target) -> None:
    """Check that the account, or any account of the tenant, exists in the scope.

    Raises:
        Problem: 422.
    """
    async with parts.reader.snapshot() as connection:
        known = (
            parts.scope.holds(target.tenant)
            and await exists(connection, ("accounts", "api_accounts"))
            and await (await connection.execute(_SQL["has_account"], target._asdict())).fetchone()
        )
    if not known:
        named = "no account" if target.account is None else f"no account {target.account!r}"
        reason = f"tenant {target.tenant!r} has {named}"
        raise Problem(422, reason, [("account", reason)])


async def _last_runs(connection: AsyncConnection, schedule: Row, limit: int) -> list[Row]:
    """The last runs, newest first, each with its jobs as the job table has them."""
    asked = {"schedule_id": schedule["schedule_id"], "limit": limit}
    runs = await (await connection.execute(_SQL["last_runs"], asked)).fetchall()
    ids = [run["run_id"] for run in runs if run["job_ids"]]
    values = {"run_ids": ids, "tenant": schedule["tenant"]}
    jobs = await (await connection.execute(_SQL["jobs_of_runs"], values)).fetchall() if ids else []
    shown = ("job_id", "state", "outcome", "status")
    for run in runs:
        of_run = [job for job in jobs if job["chain"] == run["run_id"]]
        run["jobs"] = [{name: job[name] for name in shown} | {"type": job["job_type"]} for job in of_run]
    return runs


async def last_tick(connection: AsyncConnection) -> Row:
    """When a scheduler was last at work, how many are now, and whether any schedule needs one."""
    found = await (await connection.execute(_SQL["last_tick"])).fetchone()
    assert found is not None  # noqa: S101 - it always returns one row
    return found


async def _scheduler(connection: AsyncConnection) -> Row:
    found = await last_tick(connection)
    return {"last_tick": found["ticked_at"], "alive": found["instances"] > 0}
