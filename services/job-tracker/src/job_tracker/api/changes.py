"""What the live stream reads from PostgreSQL: snapshots of a view, and the jobs changed between two positions."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from job_events.tokens import Positions
from job_tracker.api.freshness import AsyncConnection, SnapshotReader
from job_tracker.api.list_statements import Listing, ListQuery
from job_tracker.api.listing import page
from job_tracker.api.summaries import summaries
from job_tracker.domain.changes import JobChange, Key, View
from job_tracker.domain.freshness import Standing
from job_tracker.domain.positions import MAX_BEHIND, Range, covers, events_between, steps
from job_tracker.errors import HistoryGap
from job_tracker.store.job_statements import CHANGED_JOBS
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "stream.sql")
_READS = queries("job_tracker.store", "reads.sql")
Row = dict[str, Any]
_encoder = msgspec.json.Encoder()
STEP = 200  # events whose jobs are read and sent together
READS_AT_ONCE = 3  # concurrent snapshots and steps; other readers wait

# Each of these statements finds its rows by their keys. A cached plan from when the tables were small must not scan
# them when they have grown.
BY_KEY = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"


class Newest(NamedTuple):
    """A page of jobs with its freshness, in JSON, and where the table stood."""

    standing: Standing
    body: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """Changes up to `positions`, read at `standing`; `last` when that is all there was."""

    positions: Positions
    changes: Sequence[JobChange]
    standing: Standing
    last: bool


class ChangeReader:
    """Reads the changes of the job table from its history: both are written in one transaction."""

    def __init__(self, keyed: SnapshotReader, lists: SnapshotReader, listing: Listing) -> None:
        self._keyed = keyed
        self._lists = lists
        self._listing = listing
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._waiting: dict[tuple[View, int], asyncio.Task[Newest]] = {}
        self.projection = keyed.jobs

    def now(self) -> AbstractAsyncContextManager[tuple[AsyncConnection, Standing]]:
        """A snapshot, and where the job table stands in it."""
        return self._keyed.fresh_snapshot(self.projection)

    async def newest(self, view: View, limit: int) -> Newest:
        """The newest jobs of a view as `GET /jobs` answers them, read after this call.

        Concurrent requests for the same view share one read: after a restart all readers come at once.
        """
        key = (view, limit)
        reading = self._waiting.get(key)
        if reading is None:
            reading = self._waiting[key] = asyncio.create_task(self._newest(view, limit))
        return await asyncio.shield(reading)

    async def since(self, positions: Positions) -> Step:
        """The first step from `positions` towards now.

        Raises:
            Gap: the way is too long, or not all of it is left.
        """
        async with self._turns, self.now() as (connection, standing):
            arrived = standing.positions
            if not covers(arrived, positions):
                raise HistoryGap("the positions lie ahead of the table or belong to other topics")
            if (behind := events_between(positions, arrived)) > MAX_BEHIND:
                raise HistoryGap(f"{behind} events have passed; more than {MAX_BEHIND} are not told one by one")
            way = list(steps(positions, arrived, STEP))
            if not way:
                return Step(arrived, [], standing, last=True)
            reached, ranges = way[0]
            await self._check_history(connection, ranges)
            changes = await self.changed(connection, ranges, standing)
            return Step(reached, changes, standing, last=len(way) == 1)

    async def changed(self, connection: AsyncConnection, ranges: list[Range], standing: Standing) -> list[JobChange]:
        """The jobs that these ranges are about, as they are in this snapshot."""
        rows = await (await connection.execute(CHANGED_JOBS, _columns(ranges), prepare=True)).fetchall()
        shown = await summaries(connection, rows, standing.now)
        return [
            JobChange(row["job_id"], _key(row), None if row["deleted"] else _encoder.encode(one))
            for row, one in zip(rows, shown, strict=True)
        ]

    async def _newest(self, view: View, limit: int) -> Newest:
        async with self._turns:
            # A request from now on may know more than this read will find.
            del self._waiting[view, limit]
            async with self._lists.fresh_snapshot(self.projection) as (connection, standing):
                found = await self._page(connection, view, limit, standing)
        return Newest(standing, _encoder.encode({**found, "freshness": standing.freshness}))

    async def _page(self, connection: AsyncConnection, view: View, limit: int, standing: Standing) -> Row:
        if view.job_id:
            reading = await connection.execute(_READS["jobs_by_id"], {"job_ids": sorted(view.job_id)})
            rows = reversed(await reading.fetchall())
            found: Row = {"jobs": [row for row in rows if view.holds(row["job_id"], _key(row))]}
        else:
            wanted = ListQuery(filters=_filters(view), limit=limit)
            found = await page(connection, self._listing, wanted, dict, "jobs")
        return found | {"jobs": await summaries(connection, found["jobs"], standing.now)}

    async def _check_history(self, connection: AsyncConnection, ranges: list[Range]) -> None:
        row = await (
            await connection.execute(_SQL["accounted_offsets"], _columns(ranges) | {"projection": self.projection})
        ).fetchone()
        held = row["held"] if row else 0
        passed = sum(one.high - one.low for one in ranges)
        if held < passed:
            raise HistoryGap(f"of {passed} offsets on the way, the history knows {held}")


def _key(row: Row) -> Key:
    return Key(row["tenant"], row["account"], row["job_type"], row["chain"], row["status"])


def _filters(view: View) -> dict[str, list[str]]:
    filters = {"status": sorted(view.status), "job_type": sorted(view.job_type)}
    filters |= {
        name: [value] for name, value in (("account", view.account), ("chain", view.chain)) if value is not None
    }
    filters = {name: allowed for name, allowed in filters.items() if allowed}
    tenants = view.scope.narrowed(view.tenant)
    return filters if tenants is None else filters | {"tenant": tenants}


def _columns(ranges: list[Range]) -> dict[str, Any]:
    topics, partitions, lows, highs = (list(column) for column in zip(*ranges, strict=True))
    return {"topics": topics, "partitions": partitions, "lows": lows, "highs": highs}
