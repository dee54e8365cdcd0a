"""Reads what decides the health of unfinished jobs besides their rows: the broker's times, and what is paused.

Nothing is read where all jobs are finished; otherwise one statement of the history, one that finds the services' views,
and one for each service.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from psycopg import sql

from job_events.envelope import MAX_AHEAD
from job_events.job_types import JOB_TYPES
from job_events.topics import SERVICES
from job_tracker.api.command_publisher import account_subject, queue_subject
from job_tracker.api.freshness import AsyncConnection
from job_tracker.domain.health import NO_SIGNALS, QUEUED, HealthSignals
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "health.sql")
_RESUMED = "job.resume.v1"
Row = dict[str, Any]
# The columns of a job that are used here.
COLUMNS = ("job_id", "job_type", "tenant", "account", "state", "requested_at")
# An event that is older by the broker's clock makes a job lost, whatever its own clock says.
REACH = QUEUED.lost + MAX_AHEAD


async def read_health_signals(
    connection: AsyncConnection, rows: Iterable[Row], now: datetime
) -> Mapping[str, HealthSignals]:
    """The signals of the unfinished jobs of `rows`, by job id; the others have NO_SIGNALS.

    A service that has never started pauses nothing.
    """
    jobs = [row for row in rows if row["state"] in {"queued", "running"}]
    if not jobs:
        return defaultdict(lambda: NO_SIGNALS)
    newest = await _newest(connection, jobs, now)
    paused, deferred = await _inboxes(connection, jobs)
    found: defaultdict[str, HealthSignals] = defaultdict(lambda: NO_SIGNALS)
    for row in jobs:
        appended: datetime | None = None
        resumed: list[datetime] = []
        for key in _subjects(row):
            kind, at = newest.get(key, ("", now))
            if kind == _RESUMED:
                resumed.append(at)
            elif kind:
                appended = at
        if row["job_id"] in deferred:
            resumed.append(deferred[row["job_id"]])
        found[row["job_id"]] = HealthSignals(appended, max(resumed, default=None), row["job_id"] in paused)
    return found


Key = tuple[str, str | None, str | None]


def _subjects(row: Row) -> list[Key]:
    """The subjects whose events count for a job: its own, its account's and its queue's."""
    job_type = JOB_TYPES.get(row["job_type"])
    account = (account_subject(row["account"]), row["tenant"], row["account"])
    return [
        (row["job_id"], None, None),
        account,
        *([(queue_subject(job_type.service), None, None)] if job_type else []),
    ]


async def _newest(connection: AsyncConnection, jobs: list[Row], now: datetime) -> dict[Key, tuple[str, datetime]]:
    keys = list(dict.fromkeys(key for row in jobs for key in _subjects(row)))
    subjects, tenants, accounts = (list(column) for column in zip(*keys, strict=True))
    asked = {"subjects": subjects, "tenants": tenants, "accounts": accounts, "since": now - REACH}
    rows = await (await connection.execute(_SQL["newest"], asked, prepare=True)).fetchall()
    return {(row["subject"], row["tenant"], row["account"]): (row["type"], row["appended_at"]) for row in rows}


async def _inboxes(connection: AsyncConnection, jobs: list[Row]) -> tuple[set[str], dict[str, datetime]]:
    """The jobs that are paused, and until when the deferred ones sleep."""
    reading = await connection.execute(_SQL["services"], {"services": list(SERVICES)}, prepare=True)
    paused: set[str] = set()
    deferred: dict[str, datetime] = {}
    for service in [row["service"] for row in await reading.fetchall()]:
        # A type that this version does not know may be any service's.
        asked = [row for row in jobs if row["job_type"] not in JOB_TYPES or _owns(service, row)]
        if not asked:
            continue
        views = {"inbox": sql.Identifier(service, "api_inbox"), "holds": sql.Identifier(service, "api_holds")}
        values = {
            "job_ids": [row["job_id"] for row in asked],
            "tenants": [row["tenant"] for row in asked],
            "accounts": [row["account"] for row in asked],
            "owned": [_owns(service, row) and row["requested_at"] is not None for row in asked],
        }
        found = await connection.execute(sql.SQL(_SQL["paused"]).format(**views), values, prepare=True)
        paused |= {row["job_id"] for row in await found.fetchall()}
        found = await connection.execute(sql.SQL(_SQL["deferred"]).format(**views), values, prepare=True)
        deferred |= {row["job_id"]: row["not_before"] for row in await found.fetchall()}
    return paused, deferred


def _owns(service: str, row: Row) -> bool:
    job_type = JOB_TYPES.get(row["job_type"])
    return job_type is not None and job_type.service == service
