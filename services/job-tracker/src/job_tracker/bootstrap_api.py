"""The API's wiring."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from job_events import kafka
from job_events.clock import SystemClock
from job_events.topics import Topics
from job_tracker.api.app import create_app
from job_tracker.api.deps import Parts
from job_tracker.api.freshness import Pokes, Reader, reader_pool
from job_tracker.api.instruments import Instruments
from job_tracker.keys import Keys
from job_tracker.projector.items_projection import ItemsProjection
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.requests import Requests
from job_tracker.settings import Settings

POOL_SIZE = 8
DELIVERY_TIMEOUT_MS = 5000  # after so long without an acknowledgement the caller hears 503
GRACE = 5  # seconds for open answers after SIGTERM


def build_app(settings: Settings) -> FastAPI:
    """The application with real parts; nothing connects before it starts."""
    topics = Topics(settings.jobtrail_topic_prefix)
    jobs, items = JobsProjection(topics), ItemsProjection(topics)

    @asynccontextmanager
    async def open_parts() -> AsyncGenerator[Parts]:
        pool = reader_pool(settings.database_url, POOL_SIZE)
        writers: AsyncConnectionPool[psycopg.AsyncConnection] = AsyncConnectionPool(
            settings.database_url, min_size=0, max_size=2, timeout=5, open=False, kwargs={"options": "-c timezone=UTC"}
        )
        pokes = Pokes(settings.database_url)
        requests = Requests(
            kafka.producer(settings.kafka_bootstrap_servers, "job-tracker-api", DELIVERY_TIMEOUT_MS),
            topics,
            SystemClock(),
        )
        reader = Reader(pool, pokes, jobs.name, items.name, {jobs.name: jobs.topics, items.name: items.topics})
        requests.start()
        await pool.open()
        await writers.open()
        listening = asyncio.create_task(pokes.run())
        try:
            yield Parts(reader, requests, Keys(writers), Instruments())
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            await writers.close()
            await pool.close()
            await asyncio.to_thread(requests.close)

    return create_app(open_parts)


def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    uvicorn.run(
        build_app(settings),
        host=settings.jobtrail_api_host,
        port=settings.jobtrail_api_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
