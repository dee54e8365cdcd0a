"""The stream of one reader: a snapshot or a resumption, then the feed, or the history where the reader is behind it."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

import msgspec
import psycopg

from job_tracker.api.change_feed import ChangeFeed
from job_tracker.api.changes import STEP, ChangeReader
from job_tracker.api.commit_notifications import LOOK_AGAIN
from job_tracker.domain import event_stream
from job_tracker.domain.changes import View, changes_in_view
from job_tracker.domain.event_stream import StreamPosition
from job_tracker.errors import HistoryGap

HEARTBEAT = 5.0  # seconds between `freshness` events


class StreamSessions:
    """All streams of this process."""

    def __init__(self, feed: ChangeFeed, changes: ChangeReader) -> None:
        self._feed = feed
        self._changes = changes

    @property
    def open(self) -> int:
        """How many there are."""
        return self._feed.readers

    def close(self) -> None:
        """End all streams, each after a whole event; the readers reconnect to another process."""
        self._feed.close()

    def follow(self, view: View, limit: int, last: StreamPosition | None) -> AsyncGenerator[bytes]:
        """The events of a new reader, who has received everything up to `last`, or nothing yet."""
        return StreamSession(self._feed, self._changes, view, limit).events(last)


class StreamSession:
    """Sends events to one reader.

    Each of its own reads is newer than all that was sent before. It joins the feed after such a read, and skips changes
    that the read included. So no job goes back, whichever way its changes come.
    """

    def __init__(self, feed: ChangeFeed, changes: ChangeReader, view: View, limit: int) -> None:
        self._feed = feed
        self._changes = changes
        self._view = view
        self._limit = limit
        self._place = StreamPosition({})
        self._fresh = False  # whether everything up to the last read was sent
        self._number = 0
        self._beat_at = 0.0

    async def events(self, last: StreamPosition | None) -> AsyncGenerator[bytes]:
        """All events for a reader who has received everything up to `last`, or nothing yet.

        Raises:
            psycopg.OperationalError: PostgreSQL is away at the very beginning; later it is waited for.
        """
        with self._feed.reader():
            self._beat_at = asyncio.get_running_loop().time()
            if last is None:
                yield event_stream.retry(random.randrange(1000, 3000)) + await self._snapshot()  # noqa: S311
            else:
                self._place = last
                yield event_stream.retry(random.randrange(1000, 3000))  # noqa: S311
            while not self._feed.closing:
                try:
                    async for frame in self._through_history():
                        yield frame
                except HistoryGap as gap:
                    async for frame in self._until_read(lambda reason=str(gap): self._reset(reason)):
                        yield frame
                    continue
                async for frame in self._along_the_feed():
                    yield frame

    async def _snapshot(self, reset: str | None = None) -> bytes:
        """The newest jobs; `reset` is the reason why what the reader had before is void."""
        standing, body = await self._changes.newest(self._view, self._limit)
        self._place, self._fresh = StreamPosition(standing.positions, standing.epoch), True
        if reset is not None:
            body = b'{"reason":%b,%b' % (msgspec.json.encode(reset), body[1:])
        return event_stream.event("reset" if reset else "snapshot", body, self._place)

    async def _through_history(self) -> AsyncGenerator[bytes]:
        """Until the feed can be joined."""
        while not self._feed.closing:
            same = self._feed.epoch in {None, self._place.epoch}  # it has seen no swap that this reader has not
            if self._fresh and same and (number := self._feed.log.join(self._place.positions)) is not None:
                self._number = number
                return
            async for frame in self._until_read(self._step):
                yield frame

    async def _reset(self, reason: str) -> Sequence[bytes]:
        return [await self._snapshot(reason)]

    async def _step(self) -> Sequence[bytes]:
        step = await self._changes.since(self._place.positions)
        if (reason := step.standing.reason_to_begin_again(self._place.epoch)) is not None:
            raise HistoryGap(reason)
        self._place, self._fresh = StreamPosition(step.positions, step.standing.epoch), step.last
        return list(event_stream.jobs(changes_in_view(self._view, step.changes, former_known=False), self._place))

    async def _along_the_feed(self) -> AsyncGenerator[bytes]:
        """Until the feed has moved on too far, or ends."""
        loop = asyncio.get_running_loop()
        read, former_known = self._place.positions, False
        while not self._feed.closing:
            news = self._feed.news
            if not former_known:
                self._number, former_known = self._feed.log.beyond(self._number, read)
            taken = self._feed.log.take(self._number, STEP)
            if taken is None:
                self._fresh = False
                return
            if taken.number != self._number:
                frames = self._feed.frames(self._view, self._number, taken, former_known=former_known)
                self._number, self._place = taken.number, StreamPosition(taken.positions, self._place.epoch)
                for frame in frames:
                    yield frame
                continue
            left = self._beat_at + HEARTBEAT - loop.time()
            if left <= 0:
                for frame in self._heartbeat():
                    yield frame
                continue
            try:
                async with asyncio.timeout(left):
                    await news.wait()
            except TimeoutError:
                continue

    async def _until_read(self, read: Callable[[], Awaitable[Sequence[bytes]]]) -> AsyncGenerator[bytes]:
        """The frames of `read`; while PostgreSQL is unavailable, heartbeats with an unknown freshness."""
        frames: Sequence[bytes] | None = None
        while frames is None and not self._feed.closing:
            try:
                frames = await read()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if asyncio.get_running_loop().time() >= self._beat_at + HEARTBEAT:
                    for frame in self._heartbeat():
                        yield frame
                await asyncio.sleep(LOOK_AGAIN)
        for frame in frames or ():
            yield frame

    def _heartbeat(self) -> Iterator[bytes]:
        self._beat_at = asyncio.get_running_loop().time()
        if (freshness := self._feed.freshness) is not None:
            yield event_stream.event("freshness", msgspec.json.encode(freshness), self._place)
