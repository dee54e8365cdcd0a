"""How fresh an answer is, and waiting until it is fresh enough."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, cast

import msgspec
import psycopg
import structlog
from fastapi import Query
from fastapi.responses import Response
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from job_events.sql_files import queries
from job_events.tokens import Positions, decode_token, encode_token
from job_tracker.api.problems import Json, Problem, problem_response
from job_tracker.projector.postgres import CHANNEL

log = structlog.get_logger()
_SQL = queries("job_tracker", "freshness.sql")
AsyncConnection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[AsyncConnection]

ALIVE_WITHIN = timedelta(seconds=5)  # a projector beats once a second; five missed beats mean it is dead
LOOK_AGAIN = 1.0  # seconds until a waiting reader looks by itself: a poke may be lost
MAX_WAIT = 60.0  # seconds


class Freshness(msgspec.Struct, frozen=True):
    """`as_of`: everything appended to the log until then is in this answer; null while nothing is known.

    `lag_events` counts events known to lie in the log and not in the table. `alive` says whether a
    projector is at work: an idle log is fresh, a dead projector is not, and only this tells them apart.
    """

    token: str
    as_of: datetime | None
    lag_events: int
    lag_seconds: float | None
    alive: bool
    state: str

    def headers(self) -> dict[str, str]:
        lag = "unknown" if self.lag_seconds is None else f"{self.lag_seconds:.3f}"
        return {"Jobtrail-Freshness": self.token, "Jobtrail-Lag": lag}


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


class Pokes:
    """One LISTEN connection for all waiting readers of this process."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._poked = asyncio.Event()
        self.healthy = False

    async def run(self) -> None:
        """Listen until cancelled; comes back by itself after PostgreSQL was away."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._database_url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self.healthy = True
                    async for _ in connection.notifies():
                        self._wake()
            except psycopg.OperationalError as error:
                log.info("not listening", reason=str(error))
            self.healthy = False
            await asyncio.sleep(LOOK_AGAIN)

    async def wait(self, seconds: float) -> None:
        """Until the next poke, `seconds` at most."""
        event = self._poked
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        event, self._poked = self._poked, asyncio.Event()
        event.set()


Read = Callable[[AsyncConnection, datetime], Awaitable[dict[str, Any]]]


class Reader:
    """Reads everything of one answer from one snapshot, together with its freshness."""

    def __init__(self, pool: Pool, pokes: Pokes, jobs: str, items: str, topics: dict[str, list[str]]) -> None:
        self._pool = pool
        self._pokes = pokes
        self.jobs, self.items = jobs, items
        self._topics = topics

    async def answer(self, read: Read, wait: WaitFor, projection: str | None = None) -> Response:
        """The body that `read` gives plus `freshness`; 504 with what is known when `wait` was not reached."""
        name = projection or self.jobs
        reached = await self._reach(wait, name)
        async with self.snapshot() as connection:
            freshness, now = await self.freshness(connection, name)
            try:
                body = await read(connection, now)
            except Problem as problem:
                if reached or problem.status != 404:
                    problem.more["freshness"] = freshness
                    raise
                body = None
        if not reached:
            late = Problem(
                504,
                f"the token was not reached within {wait.deadline:g} s; `known` is what the table holds now",
                freshness=freshness,
                known=body,
            )
            return problem_response(late, freshness.headers())
        return Json({**(body or {}), "freshness": freshness}, headers=freshness.headers())

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncConnection]:
        """A read-only transaction: all that is read in it belongs together."""
        # In a pipeline: nothing is waited for before somebody reads a row.
        async with self._pool.connection() as connection, connection.pipeline(), connection.transaction():
            yield connection

    async def freshness(self, connection: AsyncConnection, projection: str) -> tuple[Freshness, datetime]:
        """Freshness of `projection` in this snapshot, and the database's time."""
        found = {"projection": projection, "alive_within": ALIVE_WITHIN}
        at_work = await connection.execute(_SQL["projectors"], found, prepare=True)
        positions = await connection.execute(_SQL["positions"], {"projection": projection}, prepare=True)
        clock = await connection.execute("SELECT now() AS now", prepare=True)
        (now,) = [row["now"] for row in await clock.fetchall()]
        return assess(await positions.fetchall(), await at_work.fetchall(), now), now

    async def detail(self, connection: AsyncConnection, projection: str) -> str:
        """What the projectors of `projection` say of themselves, in one sentence."""
        parameters = {"projection": projection, "alive_within": ALIVE_WITHIN}
        rows = await (await connection.execute(_SQL["projectors"], parameters)).fetchall()
        if not rows:
            return "none has started"
        return "; ".join(
            f"{row['instance']} {row['state'] if row['alive'] else 'is silent since ' + row['beat_at'].isoformat()}"
            + (f": {row['detail']}" if row["detail"] else "")
            for row in rows[:5]
        )

    async def _reach(self, wait: WaitFor, projection: str) -> bool:
        if not wait.positions:
            return True
        unknown = sorted({topic for topic, _ in wait.positions} - set(self._topics[projection]))
        if unknown:
            raise Problem(422, f"this answer is not made from {', '.join(unknown)}", [("wait_for", "other topics")])
        wanted = {
            "projection": projection,
            "topics": [topic for topic, _ in wait.positions],
            "partitions": [number for _, number in wait.positions],
            "offsets": list(wait.positions.values()),
        }
        loop = asyncio.get_running_loop()
        end = loop.time() + wait.deadline
        while True:
            async with self.snapshot() as connection:
                behind = await (await connection.execute(_SQL["behind"], wanted)).fetchone()
            left = end - loop.time()
            if behind is None or left <= 0:
                return behind is None
            await self._pokes.wait(min(left, LOOK_AGAIN))


def assess(rows: list[DictRow], projectors: list[DictRow], now: datetime) -> Freshness:
    """Freshness from the positions, the topics' ends and the projectors' beats."""
    token = encode_token({(row["topic"], row["partition"]): row["next_offset"] for row in rows})
    lagging = [row for row in rows if row["end_offset"] is None or row["end_offset"] > row["next_offset"]]
    lag = sum(row["end_offset"] - row["next_offset"] for row in lagging if row["end_offset"] is not None)
    # A partition read to its end is as fresh as the last look at its end; one behind, as its last applied event.
    times = [row["applied_at"] if row in lagging else row["checked_at"] for row in rows]
    known = [time for time in times if time is not None]
    as_of = min(known) if known and len(known) == len(times) else None
    at_work = [row for row in projectors if row["alive"] and row["state"] == "running"]
    newest = projectors[0] if projectors else None
    state = "running" if at_work else "none" if newest is None else newest["state"] if newest["alive"] else "dead"
    return Freshness(
        token=token,
        as_of=as_of,
        lag_events=lag,
        lag_seconds=max(0.0, (now - as_of).total_seconds()) if as_of else None,
        alive=bool(at_work),
        state=state,
    )


def reader_pool(database_url: str, size: int) -> Pool:
    """Connections that read from one snapshot a transaction. Opened by the caller."""
    options = (
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
        check=cast("Any", AsyncConnectionPool.check_connection),
        kwargs={"options": options, "row_factory": dict_row, "connect_timeout": 5, "autocommit": True},
    )
    return pool
