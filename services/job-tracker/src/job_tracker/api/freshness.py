"""How fresh an answer is, and waiting until it is fresh enough."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
import psycopg
from fastapi import Query
from fastapi.responses import Response
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from job_events.sql_files import queries
from job_events.tokens import Positions, decode_token
from job_tracker.api.pokes import LOOK_AGAIN, Poke, Pokes
from job_tracker.api.problems import Json, Problem, problem_response
from job_tracker.domain.freshness import Instance, Standing, Watermark
from job_tracker.domain.positions import covers

_SQL = queries("job_tracker", "freshness.sql")
AsyncConnection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[AsyncConnection]

ALIVE_WITHIN = timedelta(seconds=5)  # a projector beats once a second; five missed beats mean it is dead
MAX_WAIT = 60.0  # seconds
_watermarks = msgspec.json.Decoder(list[Watermark])
_instances = msgspec.json.Decoder(list[Instance])


@dataclass(frozen=True, slots=True)
class WaitFor:
    """The caller's wish: positions to reach, and seconds to wait for them."""

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


@dataclass(frozen=True, slots=True)
class _Look:
    """One reading of the positions for all who wait for the same poke."""

    poke: Poke
    begun: float
    positions: asyncio.Task[Positions]


class Reader:
    """Reads everything of one answer from one snapshot, together with its freshness."""

    def __init__(self, pool: Pool, pokes: Pokes, jobs: str, items: str, topics: dict[str, list[str]]) -> None:
        self._pool = pool
        self._pokes = pokes
        self.jobs, self.items = jobs, items
        self._topics = topics
        self._looks: dict[str, _Look] = {}

    async def answer(self, read: Read, wait: WaitFor, projection: str | None = None) -> Response:
        """The body that `read` gives plus `freshness`; 504 with what is known when `wait` was not reached."""
        name = projection or self.jobs
        unknown = sorted({topic for topic, _ in wait.positions} - set(self._topics[name]))
        if unknown:
            raise Problem(422, f"this answer is not made from {', '.join(unknown)}", [("wait_for", "other topics")])
        loop = asyncio.get_running_loop()
        end = loop.time() + wait.deadline
        while True:
            async with self.snapshot() as connection:
                standing = await self.standing(connection, name)
                reached = covers(standing.positions, wait.positions)
                if reached or loop.time() >= end:
                    return await self._answer(connection, standing, read, wait, reached)
            await self._reach(wait.positions, name, end)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncConnection]:
        """A read-only transaction: all that is read in it belongs together."""
        async with AsyncExitStack() as stack:
            try:
                connection = await self._begin(stack)
            except PoolTimeout:
                raise
            except psycopg.OperationalError:
                # PostgreSQL may have been away: then what the pool kept from before is dead, and a new one is not.
                await self._pool.check()
                connection = await self._begin(stack)
            yield connection

    def topics(self, projection: str) -> list[str]:
        """What `projection` is made from."""
        return self._topics[projection]

    async def standing(self, connection: AsyncConnection, projection: str) -> Standing:
        """Where `projection` stands in this snapshot."""
        values = {"projection": projection, "topics": self._topics[projection], "alive_within": ALIVE_WITHIN}
        row = await (await connection.execute(_SQL["freshness"], values, prepare=True)).fetchone()
        assert row is not None  # noqa: S101 - the statement always gives one row
        return Standing(
            now=row["now"],
            epoch=row["epoch"],
            partitions=_watermarks.decode(row["partitions"]),
            projectors=_instances.decode(row["projectors"]),
        )

    async def _begin(self, stack: AsyncExitStack) -> AsyncConnection:
        async with AsyncExitStack() as attempt:
            connection = await attempt.enter_async_context(self._pool.connection())
            await attempt.enter_async_context(connection.transaction())
            # Several questions may be sent before the first answer is waited for.
            await attempt.enter_async_context(connection.pipeline())
            stack.push_async_exit(attempt.pop_all())
            return connection

    async def _answer(
        self, connection: AsyncConnection, standing: Standing, read: Read, wait: WaitFor, reached: bool
    ) -> Response:
        freshness = standing.freshness
        try:
            body = await read(connection, standing.now)
        except Problem as problem:
            if reached or problem.status != 404:
                problem.more["freshness"] = freshness
                raise
            body = None
        if reached:
            return Json({**(body or {}), "freshness": freshness}, headers=freshness.headers())
        late = Problem(
            504,
            f"the token was not reached within {wait.deadline:g} s; `known` is what the table holds now",
            freshness=freshness,
            known=body,
        )
        return problem_response(late, freshness.headers())

    async def _reach(self, wanted: Positions, projection: str, end: float) -> None:
        """Wait until the projection has come to `wanted`, or until the loop's time is `end`."""
        loop = asyncio.get_running_loop()
        while (left := end - loop.time()) > 0:
            look = self._look(projection, loop.time())
            # One who gives up must not end the look of the others.
            if covers(await asyncio.shield(look.positions), wanted):
                return
            await look.poke.wait(min(left, LOOK_AGAIN))

    def _look(self, projection: str, now: float) -> _Look:
        poke = self._pokes.next
        look = self._looks.get(projection)
        if look is None or look.poke is not poke or now - look.begun >= LOOK_AGAIN:
            look = _Look(poke, now, asyncio.create_task(self._positions(projection)))
            self._looks[projection] = look
        return look

    async def _positions(self, projection: str) -> Positions:
        async with self.snapshot() as connection:
            rows = await (await connection.execute(_SQL["positions"], {"projection": projection})).fetchall()
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


def reader_pool(database_url: str, size: int, options: str = "") -> Pool:
    """Connections that read from one snapshot a transaction. Opened by the caller."""
    reading = (
        r"-c timezone=UTC -c default_transaction_isolation=repeatable\ read -c default_transaction_read_only=on"
        # One plan for all values of a question: planning would cost more than reading.
        " -c plan_cache_mode=force_generic_plan"
    )
    pool: Pool = AsyncConnectionPool(
        database_url,
        connection_class=AsyncConnection,
        min_size=1,
        max_size=size,
        timeout=5,
        open=False,
        kwargs={
            "options": f"{reading} {options}",
            "row_factory": dict_row,
            "connect_timeout": 5,
            "autocommit": True,
        },
    )
    return pool
