"""Wires the API."""

import asyncio
import contextlib
import resource
import socket
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from uvicorn.config import STARTUP_FAILURE

from job_events.topics import Topics
from job_tracker.api.acknowledgements import Acknowledgements
from job_tracker.api.app import create_app
from job_tracker.api.change_feed import ChangeFeed
from job_tracker.api.changes import BY_KEY, READS_AT_ONCE, ChangeReader
from job_tracker.api.command_publisher import CommandPublisher
from job_tracker.api.commit_notifications import CommitNotifications
from job_tracker.api.deps import Parts
from job_tracker.api.freshness import SnapshotReader, reader_pool
from job_tracker.api.idempotency import IdempotencyKeys
from job_tracker.api.jobs import JOBS
from job_tracker.api.metrics import Metrics
from job_tracker.api.schedule_store import ScheduleStore
from job_tracker.api.stream import MAX_READERS, SEND_TIMEOUT
from job_tracker.api.stream_sessions import StreamSessions
from job_tracker.log.broker import Broker
from job_tracker.projector.items_projection import ItemsProjection
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.settings import Settings
from service_kit import kafka
from service_kit.clock import SystemClock
from service_kit.database import watched

POOL_SIZE = 8
LIVE_POOL_SIZE = READS_AT_ONCE + 1  # the feed itself never waits for a reader
KAFKA_TIMEOUT = 2.0  # seconds until readiness says that Kafka is away
DELIVERY_TIMEOUT_MS = 5000  # without an acknowledgement in this time the caller gets 503
GRACE = 5  # seconds for open answers after SIGTERM
# Seconds that an idle connection is kept. uvicorn's default of 5 would close it just when a client that polls every
# five seconds sends its next request.
KEEP_ALIVE = 75


def build_app(settings: Settings) -> FastAPI:
    """The application with real parts; nothing connects before it starts."""
    topics = Topics(settings.jobtrail_topic_prefix)
    jobs, items = JobsProjection(topics), ItemsProjection(topics)

    @asynccontextmanager
    async def open_parts() -> AsyncGenerator[Parts]:
        pool = reader_pool(settings.database_url, POOL_SIZE)
        writers: AsyncConnectionPool[psycopg.AsyncConnection] = AsyncConnectionPool(
            watched(settings.database_url),
            min_size=0,
            max_size=2,
            timeout=5,
            open=False,
            kwargs={"options": "-c timezone=UTC"},
            check=AsyncConnectionPool.check_connection,  # PostgreSQL may have been restarted
        )
        notifications = CommitNotifications(settings.database_url)
        requests = CommandPublisher(
            kafka.producer(settings.kafka, "job-tracker-api", DELIVERY_TIMEOUT_MS),
            topics,
            SystemClock(),
        )
        stands_on = {jobs.name: jobs.topics, items.name: items.topics}
        reader = SnapshotReader(pool, notifications, jobs.name, items.name, stands_on)
        live = reader_pool(settings.database_url, LIVE_POOL_SIZE, BY_KEY)
        changes = ChangeReader(SnapshotReader(live, notifications, jobs.name, items.name, stands_on), reader, JOBS)
        feed = ChangeFeed(changes, notifications)
        requests.start()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, requests.close)
            for connections in (pool, live, writers):
                await connections.open()
                stack.push_async_callback(connections.close)
            for work in (notifications.run(), feed.run()):
                stack.push_async_callback(_end, asyncio.create_task(work))
            yield Parts(
                reader=reader,
                requests=requests,
                keys=IdempotencyKeys(writers),
                instruments=Metrics(),
                streams=StreamSessions(feed, changes),
                broker=Broker(settings.kafka, timeout=KAFKA_TIMEOUT),
                acknowledgements=Acknowledgements(writers),
                schedules=ScheduleStore(writers, SystemClock()),
            )

    names = settings.jobtrail_api_names.lower().replace(",", " ").split()
    return create_app(open_parts, frozenset(names))


def _allow_files(wanted: int) -> None:
    """Each stream is an open file; many systems allow 1,024 until asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class Server(uvicorn.Server):
    """A server that ends streams and waiting requests first, which would delay its shutdown."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, stop: threading.Event) -> None:
        super().__init__(config)
        self._app = app
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._stop.is_set():  # before uvicorn listened to signals
            self.should_exit = True
        if self.started and hasattr(socket, "TCP_USER_TIMEOUT"):
            # A connection that was ended stays open until what was sent is taken: of a reader that takes nothing, for
            # ever. The connections have this of the socket that listens.
            for listening in (one for server in self.servers for one in server.sockets):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_TIMEOUT * 1000)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.parts.streams.close()
        self._app.state.parts.reader.close()
        await super().shutdown(sockets)


def run_api(settings: Settings, stop: threading.Event) -> None:
    """Serve until SIGTERM or SIGINT, which is raised once more in the end; not at all if `stop` is set before."""
    _allow_files(MAX_READERS + 1000)
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.jobtrail_api_host,
        port=settings.jobtrail_api_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = Server(app, config, stop)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
