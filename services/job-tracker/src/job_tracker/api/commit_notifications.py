"""One LISTEN connection for all that waits in this process: every commit of a projector is a poke."""

import asyncio
import contextlib

import psycopg
import structlog

from job_tracker.store.postgres import CHANNEL
from service_kit.database import watched

log = structlog.get_logger()
LOOK_AGAIN = 1.0  # seconds until who waits looks by himself: a poke may be lost


class CommitNotification:
    """The next poke. Take it before looking at the tables: what is committed after the look then wakes."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def come(self) -> None:
        self._came.set()

    async def wait(self, seconds: float) -> None:
        """Until the poke comes, `seconds` at most."""
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
        """The poke to wait for."""
        return self._next

    async def run(self) -> None:
        """Listen until cancelled; comes back by itself after PostgreSQL was away."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._database_url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake()
                    async for _ in connection.notifies():
                        self._wake()
            except psycopg.Error as error:
                log.info("not listening", reason=str(error))
            await asyncio.sleep(LOOK_AGAIN)

    def _wake(self) -> None:
        poke, self._next = self._next, CommitNotification()
        poke.come()
