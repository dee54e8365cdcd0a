"""Schedules as the API reads and writes them. Besides, the scheduler moves their next runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID, uuid5

import msgspec
import psycopg
import uuid_utils
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from job_tracker.domain.scope import ALL_TENANTS, Scope
from job_tracker.errors import UnknownSchedule
from job_tracker.scheduler.checks import check_jitter, check_target
from job_tracker.scheduler.planning import CatchUp
from job_tracker.scheduler.timing import DEFAULT_ZONE, Timing, read_timing
from job_tracker.store.timeouts import with_timeout
from service_kit.clock import Clock
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "schedules.sql")
_NAMESPACE = UUID("0b9c3a8e-5a1d-5f6e-8e0e-7f3f5b1d2c44")
NEXT_RUNS = 5
Row = dict[str, Any]
Cursor = psycopg.AsyncCursor[Row]


class Target(NamedTuple):
    """What a schedule starts: a job type or a chain. account: None = all accounts of the tenant."""

    tenant: str
    account: str | None
    job_type: str | None
    chain: str | None


@dataclass(frozen=True, slots=True)
class ScheduleFields:
    """The fields of a schedule that can be changed. One of `cron` and `every_seconds` is None."""

    cron: str | None = None
    every_seconds: int | None = None
    timezone: str = DEFAULT_ZONE
    jitter_seconds: int = 0
    catch_up: CatchUp = "one"
    catch_up_limit: int = 10
    params: dict[str, Any] = field(default_factory=dict[str, Any])

    def check(self, target: Target, now: datetime) -> Timing:
        """Check all fields; the timing of a new schedule.

        Raises:
            InvalidRequest
        """
        check_target(target.job_type, target.chain, self.params, now)
        timing = read_timing(self.cron, self.every_seconds, self.timezone, now)
        check_jitter(timing, self.jitter_seconds, now)
        return timing


class ScheduleStore:
    """Creates, changes and deletes schedules. Every method that takes a `scope` finds nothing outside of it."""

    def __init__(self, pool: AsyncConnectionPool, clock: Clock) -> None:
        self._pool = pool
        self.clock = clock

    async def create(
        self,
        target: Target,
        fields: ScheduleFields,
        actor: str,
        *,
        schedule_id: str | None = None,
        paused: bool = False,
    ) -> Row:
        """Create a schedule; with an id that exists, return that one as it is.

        Raises:
            InvalidRequest: a field is wrong.
        """
        now = self.clock.now()
        timing = fields.check(target, now)
        schedule_id = schedule_id or str(uuid_utils.uuid7())
        values: Row = {**target._asdict(), "schedule_id": schedule_id, "actor": actor, "now": now}
        values |= _columns(fields, timing) | {"paused": paused, "paused_reason": ""}
        values["next_run_at"] = None if paused else timing.next_after(now)
        async with self._transaction() as cursor:
            await cursor.execute(_SQL["insert"], values)
            return await self._find(cursor, "one", schedule_id, ALL_TENANTS)

    async def one(self, schedule_id: str, scope: Scope) -> Row:
        """A schedule as it is stored.

        Raises:
            UnknownSchedule
        """
        async with self._transaction() as cursor:
            return await self._find(cursor, "one", schedule_id, scope)

    async def change(self, schedule_id: str, changes: dict[str, Any], actor: str, scope: Scope) -> Row:
        """Change some fields. If the times change, the next run is the first after now: no earlier one is made up.

        Raises:
            InvalidRequest: a field is wrong.
            UnknownSchedule
        """
        async with self._transaction() as cursor:
            row = await self._find(cursor, "lock", schedule_id, scope)
            await self._update(cursor, row, changes, actor)
            return await self._find(cursor, "one", schedule_id, scope)

    async def pause(self, schedule_id: str, *, paused: bool, reason: str, actor: str, scope: Scope) -> Row:
        """Pause or resume. A resumed schedule goes on with the first run after now.

        Raises:
            UnknownSchedule
        """
        changes = {"paused": paused, "paused_reason": reason if paused else ""}
        return await self.change(schedule_id, changes, actor, scope)

    async def delete(self, schedule_id: str, scope: Scope) -> None:
        """Delete a schedule with its runs. The jobs that it has started stay.

        Raises:
            UnknownSchedule
        """
        async with self._transaction() as cursor:
            await self._find(cursor, "lock", schedule_id, scope)
            await cursor.execute(_SQL["delete"], {"schedule_id": schedule_id})

    async def of_all_accounts(self, tenant: str) -> list[Row]:
        """The schedules that run for all accounts of this tenant, oldest first."""
        async with self._transaction() as cursor:
            return await (await cursor.execute(_SQL["of_tenant"], {"tenant": tenant})).fetchall()

    async def put_for_all_accounts(
        self,
        tenant: str,
        fields: ScheduleFields,
        actor: str,
        *,
        job_type: str | None = None,
        chain: str | None = None,
        paused: bool = False,
    ) -> Row:
        """Create, or change, the one schedule of a tenant that starts this job type or chain for all its accounts.

        Called again, or at the same time, it is still one schedule: its id follows from the tenant and what it starts.

        Raises:
            InvalidRequest: a field is wrong.
        """
        target = Target(tenant, None, job_type, chain)
        schedule_id = str(uuid5(_NAMESPACE, msgspec.json.encode([tenant, job_type, chain]).decode()))
        await self.create(target, fields, actor, schedule_id=schedule_id, paused=paused)
        changes = {name: getattr(fields, name) for name in ScheduleFields.__dataclass_fields__} | {"paused": paused}
        return await self.change(schedule_id, changes, actor, ALL_TENANTS)

    async def _update(self, cursor: Cursor, row: Row, changes: dict[str, Any], actor: str) -> None:
        now = self.clock.now()
        for one, other in (("cron", "every_seconds"), ("every_seconds", "cron")):
            if changes.get(one) is not None:
                changes = {other: None} | changes
        before = timing_of(row)
        stored = fields_of(row)
        after = replace(stored, **{name: value for name, value in changes.items() if hasattr(stored, name)})
        paused = changes.get("paused", row["paused"])
        timing = after.check(Target(row["tenant"], row["account"], row["job_type"], row["chain"]), now)
        if replace(timing, anchor=before.anchor) == before:
            timing = before
        goes_on = timing == before and row["next_run_at"] is not None
        next_run = row["next_run_at"] if goes_on else timing.next_after(now)
        values = _columns(after, timing) | {"schedule_id": row["schedule_id"], "actor": actor, "now": now}
        values |= {"paused": paused, "paused_reason": changes.get("paused_reason", row["paused_reason"])}
        values["next_run_at"] = None if paused else next_run
        await cursor.execute(_SQL["update"], values)

    async def _find(self, cursor: Cursor, statement: LiteralString, schedule_id: str, scope: Scope) -> Row:
        row = await (await cursor.execute(_SQL[statement], {"schedule_id": schedule_id})).fetchone()
        if row is None or not scope.holds(row["tenant"]):
            raise UnknownSchedule(schedule_id)
        return row

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Cursor]:
        async with (
            self._pool.connection() as connection,
            with_timeout(connection),
            connection.transaction(),
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            yield cursor


def timing_of(row: Row) -> Timing:
    """The timing of a stored schedule."""
    return Timing(row["cron"], row["every_seconds"], row["timezone"], row["anchor"])


def next_runs(row: Row) -> list[datetime]:
    """The next runs of a stored schedule, in its own time zone; none while it is paused."""
    timing, first = timing_of(row), row["next_run_at"]
    return timing.local([] if first is None else [first, *timing.upcoming(first, NEXT_RUNS - 1)])


def fields_of(row: Row) -> ScheduleFields:
    """The fields of a stored schedule that can be changed."""
    stored = {name: row[name] for name in ScheduleFields.__dataclass_fields__}
    return ScheduleFields(**stored | {"params": msgspec.json.decode(row["params"])})


def _columns(fields: ScheduleFields, timing: Timing) -> Row:
    return {
        "params": msgspec.json.encode(fields.params).decode(),
        "cron": timing.cron,
        "every_seconds": timing.every_seconds,
        "timezone": timing.timezone,
        "anchor": timing.anchor,
        "jitter_seconds": fields.jitter_seconds,
        "catch_up": fields.catch_up,
        "catch_up_limit": fields.catch_up_limit,
    }
