"""Operations: liveness, readiness, freshness and metrics."""

import asyncio
from typing import Any

import psycopg
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from job_events.topics import SERVICES
from job_tracker.api.catalogue import ACCOUNTS
from job_tracker.api.deps import Parts, PartsNow
from job_tracker.api.listing import exists
from job_tracker.api.problems import Json
from job_tracker.api.schedules import last_tick
from job_tracker.domain.freshness import Standing
from job_tracker.errors import BrokerAway
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def alive() -> Response:
    """200 while the process answers at all."""
    return Json({"status": "alive"})


@router.get("/readyz")
async def ready(*, parts: PartsNow) -> Response:
    """200 when PostgreSQL and Kafka answer and projectors are at work; 503 otherwise, with the reason for each part.

    Reads are answered without Kafka too, with their true age. `notes` names services that have never started and a
    missing scheduler; they do not make the API unready.
    """
    kafka, (checks, notes) = await asyncio.gather(_kafka(parts), _tables(parts))
    checks = [kafka, *checks]
    good = all(check["ok"] for check in checks)
    return Json({"ready": good, "checks": checks, "notes": notes}, 200 if good else 503)


@router.get("/freshness")
async def freshness(*, parts: PartsNow) -> Response:
    """Where each projection stands: each partition's watermark, and all instances at work.

    Jobs that ended before `horizon` are forgotten; null: none is.
    """
    async with parts.reader.snapshot() as connection:
        standings = {
            name: await parts.reader.standing(connection, projection)
            for name, projection in (("jobs", parts.reader.jobs), ("items", parts.reader.items))
        }
    body = {
        name: {
            "freshness": standing.freshness,
            "partitions": [partition.shown() for partition in standing.partitions],
            "instances": [instance.shown() for instance in standing.projectors],
            "faults": [fault.shown() for fault in standing.faults],
        }
        for name, standing in standings.items()
    }
    jobs = standings["jobs"]
    return Json({"now": jobs.now, "horizon": jobs.horizon, **body}, headers=jobs.freshness.headers())


@router.get("/metrics")
async def metrics(*, parts: PartsNow) -> Response:
    """For Prometheus."""
    async with parts.reader.snapshot() as connection:
        rows = await (await connection.execute(_SQL["status_counts"])).fetchall()
        parts.instruments.set_jobs({row["status"]: int(row["jobs"]) for row in rows})
        for name, projection in (("jobs", parts.reader.jobs), ("items", parts.reader.items)):
            standing = await parts.reader.standing(connection, projection)
            found = standing.freshness
            if name == "jobs":
                late = sum(partition.late_events for partition in standing.partitions)
                parts.instruments.set_horizon(standing.horizon, late)
            parts.instruments.set_freshness(name, found.lag_events, found.lag_seconds, found.alive)
        parts.instruments.set_schedulers((await last_tick(connection))["instances"])
    return Response(parts.instruments.text(), media_type=CONTENT_TYPE_LATEST)


async def _kafka(parts: Parts) -> dict[str, Any]:
    topics = [topic for name in (parts.reader.jobs, parts.reader.items) for topic in parts.reader.topics(name)]
    try:
        found = await asyncio.to_thread(parts.broker.topic_ids, topics)
    except BrokerAway as error:
        return {"name": "kafka", "ok": False, "detail": str(error)}
    if missing := sorted(set(topics) - found.keys()):
        return {"name": "kafka", "ok": False, "detail": f"the broker has no topic {', '.join(missing)}"}
    return {"name": "kafka", "ok": True, "detail": ""}


async def _tables(parts: Parts) -> tuple[list[dict[str, Any]], list[str]]:
    checks: list[dict[str, Any]] = []
    notes: list[str] = []
    try:
        async with parts.reader.snapshot() as connection:
            for name, projection in (("projector", parts.reader.jobs), ("items", parts.reader.items)):
                standing = await parts.reader.standing(connection, projection)
                checks.append(
                    {
                        "name": name,
                        "ok": standing.freshness.alive and not standing.faults,
                        "detail": _describe(standing),
                        "instances": [one.shown() for one in standing.projectors],
                        "freshness": standing.freshness,
                    }
                )
            views = [*((service, "api_inbox") for service in SERVICES), ACCOUNTS.source]
            missing = [view[0] for view in views if not await exists(connection, view)]
            notes = [f"{name} has never started: its lists are empty" for name in missing]
            tick = await last_tick(connection)
            if tick["needed"] and not tick["instances"]:
                notes.append("no scheduler is at work: schedules start no jobs")
    except psycopg.OperationalError as error:
        return [{"name": "postgresql", "ok": False, "detail": str(error)}], []
    return [{"name": "postgresql", "ok": True, "detail": ""}, *checks], notes


def _describe(standing: Standing) -> str:
    """The faults first, then the states of the projectors."""
    faults = dict.fromkeys(f"{fault.reason} (since {fault.since.isoformat()})" for fault in standing.faults)
    projectors = [one.sentence() for one in standing.projectors[:5]] or ["none has started"]
    return "; ".join([*list(faults)[:5], *projectors])
