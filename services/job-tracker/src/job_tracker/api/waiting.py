"""Jobs and chain steps that wait for a newer version of their service, as the services' views api_waiting show them."""

from typing import Any

from psycopg import sql

from job_events.topics import SERVICES
from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.listing import exists
from job_tracker.api.tenancy import scope_condition, scope_values
from job_tracker.domain.scope import ALL_TENANTS, Scope
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "queues.sql")
_VIEW = "api_waiting"
Row = dict[str, Any]


async def waiting_at(connection: AsyncConnection, service: str, scope: Scope) -> Row | None:
    """How many jobs and steps wait at a service, and why; None for a service without the view.

    A step is listed at every service until the one that owns its type has been upgraded.
    """
    if not await exists(connection, (service, _VIEW)):
        return None
    rows = await _rows(connection, service, "waiting", scope)
    return {"total": sum(row["count"] for row in rows), "reasons": rows}


async def waiting_reason(connection: AsyncConnection, job_id: str) -> str | None:
    """Why a job, or a step that follows it, waits for a newer version; None if neither does.

    The caller has looked whether the job is in its scope.
    """
    found: set[str] = set()
    for service in SERVICES:
        if await exists(connection, (service, _VIEW)):
            found |= {
                row["reason"] for row in await _rows(connection, service, "waiting_reasons", ALL_TENANTS, job_id=job_id)
            }
    return "; ".join(sorted(found)) or None


async def _rows(connection: AsyncConnection, service: str, name: str, scope: Scope, **values: str) -> list[Row]:
    condition = sql.SQL(scope_condition(scope))
    statement = sql.SQL(_SQL[name]).format(view=sql.Identifier(service, _VIEW), scope=condition)
    return await (await connection.execute(statement, values | scope_values(scope))).fetchall()
