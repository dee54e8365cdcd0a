"""Read jobs: lists, one job, its timeline, items and family, and statistics."""

import asyncio
from datetime import date, datetime
from typing import Annotated, Any, Literal, LiteralString

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from job_tracker.api import answer_schemas
from job_tracker.api.deps import Account, Cursor, Limit, PartsNow, Tenant, Text, Wait, list_query
from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.health_list import page_by_health
from job_tracker.api.health_signals import read_health_signals
from job_tracker.api.list_statements import Listing
from job_tracker.api.listing import MAX_PAGE_BYTES, cut_scan, page
from job_tracker.api.rollup_totals import rollup_totals
from job_tracker.api.summaries import summaries
from job_tracker.api.tenancy import scope_condition, scope_values, tenant_condition, tenant_value
from job_tracker.api.waiting import waiting_reason
from job_tracker.domain.cursors import decode_cursor, encode_cursor, list_mark
from job_tracker.domain.health import NO_SIGNALS, Health
from job_tracker.domain.job_row import LISTED_NAMES
from job_tracker.domain.job_view import detail, parents
from job_tracker.domain.list_plans import JOB_LISTS, SCAN_ROWS
from job_tracker.domain.scope import Scope
from job_tracker.domain.timeline import Timeline
from job_tracker.errors import Problem
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
_FRESHNESS = queries("job_tracker.store", "freshness.sql")
Row = dict[str, Any]
Status = Literal["PENDING", "RUNNING", "COMPLETED", "MIXED", "FAILED", "CANCELLED"]
MAX_HISTORY = 20_000  # events of one job that are folded for its timeline
MAX_FAMILY = 500
# What `summary` and `parents` need of a relative.
_COLUMNS: LiteralString = ", ".join((*LISTED_NAMES, "r_body"))
DAYS_SHOWN, MOST_DAYS_SHOWN = 92, 366

JOBS = Listing(
    source=("tracker", "job"),
    key=("created_at", "job_id"),
    key_types=(datetime, str),
    served=JOB_LISTS,
    filters=("status", "job_type", "tenant", "account", "chain", "parent", "retry_of"),
    columns=LISTED_NAMES,
    only="NOT deleted",
    search=("job_id", "job_type", "account", "chain", "batch", "requested_by", "p_phase", "e_error_category"),
    newest_first=True,
)
router = APIRouter(tags=["jobs"])


@router.get("/jobs", responses=answer_schemas.JOBS_PAGE)
async def list_jobs(
    *,
    parts: PartsNow,
    wait: Wait,
    status: Annotated[list[Status] | None, Query()] = None,
    health: Annotated[list[Health] | None, Query(description="as derived now; a bounded scan")] = None,
    type_: Annotated[list[str] | None, Query(alias="type")] = None,
    tenant: Tenant = None,
    account: Account = None,
    chain: str | None = None,
    parent: Annotated[str | None, Query(description="the job that these grew from")] = None,
    retry_of: Annotated[str | None, Query(description="the job that these repeat")] = None,
    since: Annotated[datetime | None, Query(alias="from", description="created at or after")] = None,
    until: Annotated[datetime | None, Query(alias="to", description="created before")] = None,
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Jobs, newest first."""
    filters: dict[str, str | list[str] | None] = {
        "status": [*status] if status else None,
        "job_type": type_ or None,
        "tenant": tenant,
        "account": account,
        "chain": chain,
        "parent": parent,
        "retry_of": retry_of,
    }
    request = list_query(parts.scope, filters, text, cursor, limit)
    request.ranges = {"created_at": (_aware(since, "from"), _aware(until, "to"))}

    total = rollup_totals(JOBS, request)

    async def read(connection: AsyncConnection, now: datetime) -> Row:
        if health:
            shown, signals = await page_by_health(connection, JOBS, request, health, now)
        else:
            shown, signals = await page(connection, JOBS, request, dict, "jobs", total), None
        return shown | {"jobs": await summaries(connection, shown["jobs"], now, signals)}

    return await parts.reader.answer(read, wait)


@router.get("/jobs/{job_id}", responses=answer_schemas.ONE_JOB)
async def show_job(*, parts: PartsNow, wait: Wait, job_id: str) -> Response:
    """Everything known of one job."""

    async def show(row: Row | None, now: datetime) -> Row:
        if row is None:
            async with parts.reader.snapshot() as connection:
                raise await _unknown(connection, job_id)
        known, signals, reason = row, NO_SIGNALS, None
        if known["state"] != "finished":
            async with parts.reader.snapshot() as connection:
                signals = (await read_health_signals(connection, [known], now))[job_id]
                reason = await waiting_reason(connection, job_id)
        job = detail(known, now, signals)
        if job["state"] == "finished" and job["remaining_then"]:
            async with parts.reader.snapshot() as connection:
                reason = await waiting_reason(connection, job_id)
        return {"job": job | {"waiting_reason": reason}}

    values = {"job_id": job_id} | scope_values(parts.scope)
    return await parts.reader.answer_row(_SQL["job"].format(scope=scope_condition(parts.scope)), values, show, wait)


@router.get("/jobs/{job_id}/events")
async def show_events(
    *, parts: PartsNow, wait: Wait, job_id: str, cursor: Cursor = None, limit: Limit = 200
) -> Response:
    """The job's history in log order, each event with its verdict: applied, duplicate or superseded."""
    # By the key of the last event: one that comes later but sorts before it moves no page.
    mark = list_mark("events", job_id)
    after: Any = tuple(_decode(cursor, (datetime, str, int, int), mark)) if cursor else None

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        await _check_visible(connection, job_id, parts.scope)
        history = _SQL["history"].format(scope=scope_condition(parts.scope))
        asked = {"job_id": job_id, "most": MAX_HISTORY + 1} | scope_values(parts.scope)
        await connection.execute(history, asked)
        found, rows = Timeline(limit, after, MAX_PAGE_BYTES), 0
        # In chunks: events may be large, and only those of the page are kept.
        while piece := await (await connection.execute(_SQL["more_history"])).fetchall():
            rows += len(piece)
            await asyncio.to_thread(found.add, piece[: MAX_HISTORY - found.total])
        if not rows:
            await find_job(connection, job_id, parts.scope)
        return {
            "events": found.shown,
            "next": encode_cursor(found.last, mark) if found.last else None,
            "total": found.total,
            "total_exact": rows <= MAX_HISTORY,
        }

    return await parts.reader.answer(read, wait)


@router.get("/jobs/{job_id}/items")
async def show_items(
    *,
    parts: PartsNow,
    wait: Wait,
    job_id: str,
    action: Annotated[list[str] | None, Query(description="actions such as failed")] = None,
    held: Annotated[bool, Query(description="only those whose changes wait for a confirmation")] = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What happened item by item. The token of this answer is that of the items' own projection."""
    mark = list_mark("items", job_id, sorted(set(action or ())), held)
    after: list[Any] = [None, None] if cursor is None else _decode(cursor, (datetime, str), mark)
    # Without a filter every row that is looked at is shown.
    scanned = SCAN_ROWS if held or action else limit
    wanted = {"job_id": job_id, "after_at": after[0], "after_id": after[1], "actions": action or None, "held": held}

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        await _check_visible(connection, job_id, parts.scope)
        asked = wanted | {"scanned": scanned, "most": limit + 2, "most_bytes": MAX_PAGE_BYTES}
        items = _SQL["items"].format(scope=scope_condition(parts.scope))
        rows = await (await connection.execute(items, asked | scope_values(parts.scope))).fetchall()
        if not rows and cursor is None:
            await find_job(connection, job_id, parts.scope)
        shown, last = cut_scan(rows, limit, scanned)
        partial = last is not None and len(shown) < limit
        # The bodies of rows behind those that fit into a page are not read.
        if fitting := [row for row in shown if row["body"] is not None]:
            cut = len(fitting) < len(shown)
            shown, last, partial = fitting, fitting[-1] if cut else last, partial and not cut
        return {
            "items": [_item(row) for row in shown],
            "next": encode_cursor([last["at"], last["event_id"]], mark) if last else None,
            "partial": partial,
        }

    return await parts.reader.answer(read, wait, parts.reader.items)


@router.get("/jobs/{job_id}/family", responses=answer_schemas.FAMILY)
async def show_family(*, parts: PartsNow, wait: Wait, job_id: str) -> Response:
    """Parents, children, retries, and the whole chain the job belongs to."""

    async def read(connection: AsyncConnection, now: datetime) -> Row:
        job = await find_job(connection, job_id, parts.scope)
        scope, tenants = scope_condition(parts.scope), scope_values(parts.scope)

        async def rows(query: str, **values: Any) -> list[Row]:
            statement = _SQL[query].format(columns=_COLUMNS, scope=scope)
            return await (await connection.execute(statement, values | tenants)).fetchall()

        chain = await rows("chain", chain=job["chain"], most=MAX_FAMILY)
        children = {row["job_id"]: row for row in await rows("children", job_id=job_id, most=MAX_FAMILY)}
        children |= {row["job_id"]: row for row in chain if job_id in parents(row)}
        found = {
            "parents": await rows("parents", job_ids=parents(job)),
            "children": sorted(children.values(), key=lambda row: (row["created_at"], row["job_id"])),
            "retries": await rows("retries", job_id=job_id, most=MAX_FAMILY),
            "chain": chain,
        }
        related = {row["job_id"]: row for row in [job, *(row for several in found.values() for row in several)]}
        shown = {one["job_id"]: one for one in await summaries(connection, list(related.values()), now)}
        return {"job": shown[job_id]} | {
            name: [shown[row["job_id"]] for row in several] for name, several in found.items()
        }

    return await parts.reader.answer(read, wait)


@router.get("/stats", responses=answer_schemas.STATS)
async def show_stats(
    *,
    parts: PartsNow,
    wait: Wait,
    tenant: Tenant = None,
    type_: Annotated[str | None, Query(alias="type")] = None,
    since: Annotated[date | None, Query(alias="from", description="first UTC day of creation")] = None,
    until: Annotated[date | None, Query(alias="to", description="last UTC day of creation")] = None,
) -> Response:
    """Counts from the rollups, which are kept in the transaction that keeps the jobs.

    Without `from`, `by_day` shows the last 92 days, with it up to 366; the other counts are of all days.
    """
    whole = since is None and until is None
    tenants = parts.scope.narrowed(tenant)
    tenants = [""] if tenants is None else tenants
    condition = tenant_condition(tenants)
    stats, stats_by_day = _SQL["stats"].format(tenants=condition), _SQL["stats_by_day"].format(tenants=condition)
    asked = {"tenant": tenant_value(tenants), "type": type_, "first": since or date.min, "last": until or date.max}

    async def read(connection: AsyncConnection, now: datetime) -> Row:
        last, most = until or now.date(), DAYS_SHOWN if since is None else MOST_DAYS_SHOWN
        first = max(since or date.min, date.fromordinal(max(1, last.toordinal() - most + 1)))
        totals = asked | ({"first": "-infinity", "last": "-infinity"} if whole else {})
        summing = await connection.execute(stats, totals, prepare=True)
        by_day = await connection.execute(stats_by_day, asked | {"first": first}, prepare=True)
        rows, days = await summing.fetchall(), await by_day.fetchall()
        by_status: dict[str, int] = {}
        for row in rows:
            by_status[row["status"]] = by_status.get(row["status"], 0) + int(row["jobs"])
        finished = sum(by_status.get(status, 0) for status in ("COMPLETED", "MIXED", "FAILED", "CANCELLED"))
        return {
            "jobs": sum(by_status.values()),
            "by_status": by_status,
            "success_rate": round(by_status.get("COMPLETED", 0) / finished, 4) if finished else None,
            "by_type": [
                {name: int(value) if name not in {"job_type", "status"} else value for name, value in row.items()}
                for row in rows
            ],
            "by_day_from": first,
            "by_day": [{"day": row["day"], "status": row["status"], "jobs": int(row["jobs"])} for row in days],
        }

    return await parts.reader.answer(read, wait)


async def find_job(connection: AsyncConnection, job_id: str, scope: Scope) -> Row:
    """The row of a job.

    Raises:
        Problem: 404, also for a job of a tenant outside of the scope.
    """
    statement = _SQL["job"].format(scope=scope_condition(scope))
    reading = await connection.execute(statement, {"job_id": job_id} | scope_values(scope))
    if (row := await reading.fetchone()) is None:
        raise await _unknown(connection, job_id)
    return row


async def _check_visible(connection: AsyncConnection, job_id: str, scope: Scope) -> None:
    """Refuse the events and items of a job whose row is outside of the scope.

    Raises:
        Problem: 404.
    """
    if scope.tenants is not None:
        await find_job(connection, job_id, scope)


async def _unknown(connection: AsyncConnection, job_id: str) -> Problem:
    """The 404 of a job that has no row: perhaps it had one."""
    row = await (await connection.execute(_FRESHNESS["horizon"])).fetchone()
    forgotten = f"; jobs that ended before {row['ended_before']:%Y-%m-%d} are forgotten" if row else ""
    return Problem(404, f"the table knows no job {job_id[:128]!r}{forgotten}", [("job_id", "is unknown")])


def _item(row: Row) -> Row:
    data = msgspec.json.decode(row["body"])["data"]
    return {
        "event_id": row["event_id"],
        "at": row["at"],
        "item": row["item"],
        "action": row["action"],
        "attempt": row["attempt"],
        "ids": data.get("ids", {}),
        "response_ms": row["response_ms"],
        "worker": row["worker"],
        "error": data.get("error"),
        "changes": data.get("changes", []),
        "held": data.get("held"),
        "about": data.get("about") or {},
    }


def _decode(cursor: str, types: tuple[type, ...], mark: str) -> list[Any]:
    try:
        return decode_cursor(cursor, types, mark)
    except ValueError as error:
        raise Problem(422, str(error), [("cursor", "was not given by this list")]) from None


def _aware(moment: datetime | None, field: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise Problem(422, f"{field} needs an offset from UTC, such as Z", [(field, "has no time zone")])
    return moment
