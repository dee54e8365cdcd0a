"""For those who run it: alive, ready, and figures."""

from typing import Any

import psycopg
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from job_events.sql_files import queries
from job_events.topics import SERVICES
from job_tracker.api.catalogue import ACCOUNTS
from job_tracker.api.deps import PartsNow
from job_tracker.api.listing import exists
from job_tracker.api.problems import Json

_SQL = queries("job_tracker", "reads.sql")
router = APIRouter(tags=["upkeep"])


@router.get("/healthz")
async def alive() -> Response:
    """200 while the process answers at all."""
    return Json({"status": "alive"})


@router.get("/readyz")
async def ready(*, parts: PartsNow) -> Response:
    """200 when PostgreSQL answers and projectors are at work; 503 otherwise, with the reason for each part.

    Views of services that have never started are told too, but do not make the API unready.
    """
    checks: list[dict[str, Any]] = []
    notes: list[str] = []
    try:
        async with parts.reader.snapshot() as connection:
            checks.append({"name": "postgresql", "ok": True, "detail": ""})
            for name, projection in (("projector", parts.reader.jobs), ("items", parts.reader.items)):
                freshness, _ = await parts.reader.freshness(connection, projection)
                detail = await parts.reader.detail(connection, projection)
                checks.append({"name": name, "ok": freshness.alive, "detail": detail, "freshness": freshness})
            views = [*((service, "api_inbox") for service in SERVICES), ACCOUNTS.source]
            missing = [view[0] for view in views if not await exists(connection, view)]
            notes = [f"{name} has never started: its lists are empty" for name in missing]
    except (PoolTimeout, psycopg.OperationalError) as error:
        checks.append({"name": "postgresql", "ok": False, "detail": str(error)})
    good = all(check["ok"] for check in checks)
    return Json({"ready": good, "checks": checks, "notes": notes}, 200 if good else 503)


@router.get("/metrics")
async def metrics(*, parts: PartsNow) -> Response:
    """For Prometheus."""
    async with parts.reader.snapshot() as connection:
        rows = await (await connection.execute(_SQL["status_counts"])).fetchall()
        parts.instruments.set_jobs({row["status"]: int(row["jobs"]) for row in rows})
        for name, projection in (("jobs", parts.reader.jobs), ("items", parts.reader.items)):
            found, _ = await parts.reader.freshness(connection, projection)
            parts.instruments.set_freshness(name, found.lag_events, found.lag_seconds, found.alive)
    return Response(parts.instruments.text(), media_type=CONTENT_TYPE_LATEST)
