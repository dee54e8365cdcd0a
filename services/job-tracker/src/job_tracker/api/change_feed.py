"""The live feed: one read of the table for each commit notification, shared by all readers of this process."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from math import inf

import msgspec
import psycopg
import structlog

from job_events.tokens import encode_token
from job_tracker.api.changes import STEP, ChangeReader
from job_tracker.api.commit_notifications import LOOK_AGAIN, CommitNotifications
from job_tracker.domain import event_stream
from job_tracker.domain.changes import ChangeLog, TakenChanges, View, changes_in_view
from job_tracker.domain.freshness import Freshness
from job_tracker.domain.positions import MAX_BEHIND, covers, events_between, steps

log = structlog.get_logger()
KEPT = 10_000  # changes in memory, about 10 MB; a reader further behind reads the history
STALE = 3.0  # seconds since the last read; there is one a second
PAUSE = 0.02  # seconds between reads at least: changes in the meantime are sent together
PAUSE_A_READER = 0.0002  # seconds more for each reader, so that sending leaves time for requests

NOTHING_KNOWN = Freshness(encode_token({}), as_of=None, lag_events=0, lag_seconds=None, alive=False, state="unknown")


class ChangeFeed:
    """Run it as a task. It reads only while there are readers."""

    def __init__(self, changes: ChangeReader, notifications: CommitNotifications) -> None:
        self._changes = changes
        self._notifications = notifications
        self.log = ChangeLog(KEPT)
        self.news = asyncio.Event()
        self._freshness: Freshness | None = None
        self._read_at = 0.0
        self._woken = 0.0
        self.epoch: int | None = None
        self.readers = 0
        self.closing = False
        self._awake = asyncio.Event()
        self._frames: dict[tuple[View, int, int, bool], Sequence[bytes]] = {}

    async def run(self) -> None:
        """Read after every notification, and once a second, while there are readers; until cancelled."""
        while True:
            if not self.readers:
                self.epoch = self._freshness = None
                self._awake.clear()
                await self._awake.wait()
                self._woken = asyncio.get_running_loop().time()
            notification = self._notifications.next
            before = self.log.last
            try:
                await self._read()
            except psycopg.Error as error:
                log.warning("live feed read failed", reason=str(error))
                self._read_at = -inf
            if self.log.last != before:
                self._wake_readers()
            await asyncio.sleep(PAUSE + PAUSE_A_READER * self.readers)
            await notification.wait(LOOK_AGAIN)

    @property
    def freshness(self) -> Freshness | None:
        """As of the last read; unknown if that failed or is too old: a PostgreSQL that hangs fails late.

        None for a moment after the first reader came.
        """
        now = asyncio.get_running_loop().time()
        if self._freshness is None and now - self._woken < STALE:
            return None
        if self._freshness is not None and now - self._read_at < STALE:
            return self._freshness
        return msgspec.structs.replace(self._freshness or NOTHING_KNOWN, lag_seconds=None, alive=False, state="unknown")

    def close(self) -> None:
        """End the streams of all readers."""
        self.closing = True
        self._wake_readers()

    @contextmanager
    def reader(self) -> Generator[None]:
        """Count a reader until it leaves."""
        self.readers += 1
        self._awake.set()
        try:
            yield
        finally:
            self.readers -= 1

    def frames(self, view: View, after: int, taken: TakenChanges, *, former_known: bool) -> Sequence[bytes]:
        """The events for these changes, encoded once for all readers of a view at the same position."""
        key = (view, after, taken.number, former_known)
        made = self._frames.get(key)
        if made is None:
            changes = changes_in_view(view, taken.changes, former_known=former_known)
            made = self._frames[key] = list(
                event_stream.jobs(changes, event_stream.StreamPosition(taken.positions, self.epoch))
            )
        return made

    async def _read(self) -> None:
        async with self._changes.now() as (connection, standing):
            self._freshness, self._read_at = standing.freshness, asyncio.get_running_loop().time()
            arrived, covered = standing.positions, self.log.positions
            way_is_whole = self.epoch == standing.epoch and covers(arrived, covered)
            self.epoch = standing.epoch
            if not way_is_whole or events_between(covered, arrived) > MAX_BEHIND:
                self.log.restart(arrived)
                return
            for reached, ranges in steps(covered, arrived, STEP):
                self.log.add(reached, await self._changes.changed(connection, ranges, standing), covered)

    def _wake_readers(self) -> None:
        self._frames.clear()
        news, self.news = self.news, asyncio.Event()
        news.set()
