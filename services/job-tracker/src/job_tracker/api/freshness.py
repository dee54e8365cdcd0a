"""The freshness of an answer, and waiting until it is fresh enough."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, LiteralString, TypeVar

import msgspec
import psycopg
from fastapi import Query
from fastapi.responses import Response
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from job_events.tokens import Positions, decode_token
from job_tracker.api.commit_notifications import LOOK_AGAIN, CommitNotification, CommitNotifications
from job_tracker.api.problems import Json, problem_response
from job_tracker.domain.freshness import Instance, PartitionFault, Standing, Watermark
from job_tracker.domain.positions import covers
from job_tracker.errors import PostgresTimeout, Problem
from job_tracker.store.timeouts import with_timeout
from service_kit.database import watched
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "freshness.sql")
AsyncConnection = psycopg.AsyncConnection[DictRow]
AsyncCursor = psycopg.AsyncCursor[DictRow]
Pool = AsyncConnectionPool[AsyncConnection]

ALIVE_WITHIN = timedelta(seconds=5)  # of five heartbeats that are missing: then a projector counts as dead
MAX_WAIT = 60.0  # seconds
_watermarks = msgspec.json.Decoder(list[Watermark])
_instances = msgspec.json.Decoder(list[Instance])
_faults = msgspec.json.Decoder(list[PartitionFault])


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Positions to wait for, and for how many seconds."""

    positions: Positions
    deadline: float


async def wait_for_query(
    wait_for: Annotated[str | None, Query(description="a freshness token to wait for", max_length=8192)] = None,
    deadline: Annotated[float, Query(description="seconds to wait at most", ge=0, le=MAX_WAIT)] = 5.0,
) -> WaitFor:
    """Reads `?wait_for=TOKEN&deadline=SECONDS`."""
    if wait_for is None:
        return WaitFor({}, 0)
    try:
        return WaitFor(decode_token(wait_for), deadline)
    except ValueError as error:
        raise Problem(422, str(error), [("wait_for", "is not a freshness token")]) from None


Read = Callable[[AsyncConnection, datetime], Awaitable[dict[str, Any]]]
Last = Callable[[], bool]
Show = Callable[[DictRow | None, datetime], Awaitable[dict[str, Any]]]
Answered = TypeVar("Answered")
Ask = Callable[[AsyncConnection, psycopg.AsyncPipeline], Awaitable[Answered]]


@dataclass(frozen=True, slots=True)
class _PositionsRead:
    """One read of the positions, shared by all requests that wait for the same notification."""

    notification: CommitNotification
    begun: float
    positions: asyncio.Task[Positions]


class SnapshotReader:
    """Reads everything of one answer from one snapshot, together with its freshness."""

    def __init__(
        self, pool: Pool, notifications: CommitNotifications, jobs: str, items: str, topics: dict[str, list[str]]
    ) -> None:
        self._pool = pool
        self._pokes = notifications
        self.jobs, self.items = jobs, items
        self._topics = topics
        self._looks: dict[str, _PositionsRead] = {}
        self._closing = False

    def close(self) -> None:
        """The process ends: requests that wait for a token are answered now."""
        self._closing = True

    async def answer(self, read: Read, wait: WaitFor, projection: str | None = None) -> Response:
        """The body that `read` gives plus `freshness`; 504 with what is known when `wait` was not reached."""
        name = projection or self.jobs

        async def look(last: Last) -> Response | None:
            async with self.fresh_snapshot(name) as (connection, standing):
                return await _answer(standing, wait, last, lambda: read(connection, standing.now))

        return await self._answer_in_time(look, wait, name)

    async def answer_row(self, statement: LiteralString, values: dict[str, Any], show: Show, wait: WaitFor) -> Response:
        """As `answer`, where a statement finds one row with a `job_id`, or none.

        One statement, and so one snapshot and one round trip, where a transaction takes three.
        """

        async def look(last: Last) -> Response | None:
            standing, row = await self._again_if_dead(lambda: self._row(statement, values))
            return await _answer(standing, wait, last, lambda: show(row, standing.now))

        return await self._answer_in_time(look, wait, self.jobs)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncConnection]:
        """A read-only transaction with one snapshot."""
        async with AsyncExitStack() as stack:
            connection, _ = await self._entered(stack, lambda _, pipeline: pipeline.sync())
            yield connection

    @asynccontextmanager
    async def fresh_snapshot(self, projection: str) -> AsyncGenerator[tuple[AsyncConnection, Standing]]:
        """A snapshot, and where `projection` stands in it, in one round trip."""
        async with AsyncExitStack() as stack:
            yield await self._entered(stack, lambda connection, _: self.standing(connection, projection))

    def topics(self, projection: str) -> list[str]:
        """The topics from which `projection` is made."""
        return self._topics[projection]

    async def standing(self, connection: AsyncConnection, projection: str) -> Standing:
        """Where `projection` stands in this snapshot."""
        answer = await connection.execute(_SQL["freshness"], self._wanted(projection), prepare=True)
        return self._standing(await _only(answer), projection)

    def _standing(self, row: DictRow, projection: str) -> Standing:
        return Standing(
            now=row["now"],
            epoch=row["epoch"],
            partitions=_watermarks.decode(row["partitions"]),
            projectors=_instances.decode(row["projectors"]),
            faults=_faults.decode(row["faults"]),
            topics=self._topics[projection],
            horizon=row["horizon"],
        )

    def _wanted(self, projection: str) -> dict[str, Any]:
        return {"projection": projection, "topics": self._topics[projection], "alive_within": ALIVE_WITHIN}

    async def _row(self, statement: LiteralString, values: dict[str, Any]) -> tuple[Standing, DictRow | None]:
        both = "SELECT * FROM (" + _SQL["freshness"] + ") AS fresh LEFT JOIN (" + statement + ") AS found ON true"
        async with self._pool.connection() as connection, with_timeout(connection):
            try:
                answer = await connection.execute(both, values | self._wanted(self.jobs), prepare=True)
            except psycopg.Error:
                # The statement may have been prepared before a migration; without a rollback psycopg would keep it.
                await connection.close()
                raise
            row = await _only(answer)
        return self._standing(row, self.jobs), row if row["job_id"] is not None else None

    async def _again_if_dead(self, ask: Callable[[], Awaitable[Answered]]) -> Answered:
        try:
            return await ask()
        except (PoolTimeout, PostgresTimeout):
            raise
        except psycopg.OperationalError:
            # After PostgreSQL was unavailable, the connections of the pool are closed; new ones are not.
            await self._pool.check()
            return await ask()

    async def _entered(self, stack: AsyncExitStack, ask: Ask[Answered]) -> tuple[AsyncConnection, Answered]:
        return await self._again_if_dead(lambda: stack.enter_async_context(self._transaction(ask)))

    @asynccontextmanager
    async def _transaction(self, ask: Ask[Answered]) -> AsyncGenerator[tuple[AsyncConnection, Answered]]:
        """Several statements may be sent before the first result is read, BEGIN with the first of them.

        psycopg's own transaction would wait for BEGIN and for COMMIT alone. After an exception the pool rolls back.
        """
        async with self._pool.connection() as connection, with_timeout(connection), connection.pipeline() as pipeline:
            await connection.execute("BEGIN")
            yield connection, await ask(connection, pipeline)
            await connection.execute("COMMIT")

    async def _answer_in_time(
        self, look: Callable[[Last], Awaitable[Response | None]], wait: WaitFor, projection: str
    ) -> Response:
        unknown = sorted({topic for topic, _ in wait.positions} - set(self._topics[projection]))
        if unknown:
            raise Problem(422, f"this answer is not made from {', '.join(unknown)}", [("wait_for", "other topics")])
        loop = asyncio.get_running_loop()
        end = loop.time() + wait.deadline
        while (answer := await look(lambda: self._closing or loop.time() >= end)) is None:
            await self._reach(wait.positions, projection, end)
        return answer

    async def _reach(self, wanted: Positions, projection: str, end: float) -> None:
        """Wait until the projection has come to `wanted`, or until the loop's time is `end`."""
        loop = asyncio.get_running_loop()
        while not self._closing and (left := end - loop.time()) > 0:
            look = self._look(projection, loop.time())
            # A request that is cancelled must not cancel the read of the others.
            if covers(await asyncio.shield(look.positions), wanted):
                return
            await look.notification.wait(min(left, LOOK_AGAIN))

    def _look(self, projection: str, now: float) -> _PositionsRead:
        notification = self._pokes.next
        look = self._looks.get(projection)
        if look is None or look.notification is not notification or now - look.begun >= LOOK_AGAIN:
            look = _PositionsRead(notification, now, asyncio.create_task(self._positions(projection)))
            self._looks[projection] = look
        return look

    async def _positions(self, projection: str) -> Positions:
        async with self.snapshot() as connection:
            rows = await (await connection.execute(_SQL["positions"], {"projection": projection})).fetchall()
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def _only(answer: AsyncCursor) -> DictRow:
    row = await answer.fetchone()
    assert row is not None  # noqa: S101 - the statement always returns one row
    return row


async def _answer(
    standing: Standing, wait: WaitFor, last: Last, read: Callable[[], Awaitable[dict[str, Any]]]
) -> Response | None:
    """None if the token is not reached yet, and there is time to wait for it."""
    reached = covers(standing.positions, wait.positions)
    if not reached and not last():
        return None
    freshness = standing.freshness
    known: dict[str, Any] | None = None
    try:
        known = await read()
    except Problem as problem:
        if reached or problem.status != 404:
            problem.more["freshness"] = freshness
            raise
    if reached:
        return Json({**(known or {}), "freshness": freshness}, headers=freshness.headers())
    late = Problem(
        504,
        f"the token was not reached within {wait.deadline:g} s, or before this process had to end; `known` is what the "
        "table holds now",
        freshness=freshness,
        known=known,
    )
    return problem_response(late, freshness.headers())


def reader_pool(database_url: str, size: int, options: str = "") -> Pool:
    """Connections that read from one snapshot a transaction. Opened by the caller."""
    reading = (
        r"-c timezone=UTC -c default_transaction_isolation=repeatable\ read -c default_transaction_read_only=on"
        # One plan for all values of a statement: planning would cost more than reading.
        " -c plan_cache_mode=force_generic_plan"
    )
    pool: Pool = AsyncConnectionPool(
        watched(database_url),
        connection_class=AsyncConnection,
        min_size=1,
        max_size=size,
        timeout=5,
        open=False,
        kwargs={
            "options": f"{reading} {options}",
            "row_factory": dict_row,
            "autocommit": True,
        },
    )
    return pool
