"""One LISTEN connection for the process: a projector notifies after every commit."""

import asyncio
import contextlib

import psycopg
import structlog

from job_tracker.store.postgres import CHANNEL
from service_kit.database import watched

log = structlog.get_logger()
LOOK_AGAIN = 1.0  # seconds after which a waiter reads without a notification, which may be lost


class CommitNotification:
    """The next notification. Take it before reading the tables, so that a commit after the read wakes the waiter."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def come(self) -> None:
        self._came.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the notification, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._came.wait()


class CommitNotifications:
    """Run it as a task."""

    def __init__(self, database_url: str) -> None:
        self._database_url = watched(database_url)
        self._next = CommitNotification()

    @property
    def next(self) -> CommitNotification:
        """The notification to wait for."""
        return self._next

    async def run(self) -> None:
        """Listen until cancelled; reconnect after PostgreSQL was unavailable."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._database_url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake()
                    async for _ in connection.notifies():
                        self._wake()
            except psycopg.Error as error:
                log.info("LISTEN interrupted", reason=str(error))
            await asyncio.sleep(LOOK_AGAIN)

    def _wake(self) -> None:
        notification, self._next = self._next, CommitNotification()
        notification.come()
