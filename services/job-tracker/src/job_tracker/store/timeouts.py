"""A time limit for statements, for a PostgreSQL that accepts connections and statements and never answers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from job_tracker.errors import PostgresTimeout

TIMEOUT = 10.0  # seconds; the slowest statement takes less than one


@asynccontextmanager
async def with_timeout(connection: psycopg.AsyncConnection[Any]) -> AsyncGenerator[None]:
    """Statements on `connection` in this block are answered within TIMEOUT seconds, or abandoned.

    The socket is closed first: on a cancellation alone psycopg waits for the server to confirm it.

    Raises:
        PostgresTimeout
    """
    task, abandoned = asyncio.current_task(), False
    assert task is not None  # noqa: S101 - a coroutine always runs in one

    def abandon() -> None:
        nonlocal abandoned
        abandoned = True
        connection.pgconn.finish()
        task.cancel()

    timer = asyncio.get_running_loop().call_later(TIMEOUT, abandon)
    try:
        yield
    except asyncio.CancelledError:
        if not abandoned or task.uncancel() > 0:
            raise
        raise PostgresTimeout(f"PostgreSQL has not answered within {TIMEOUT:g} s") from None
    finally:
        timer.cancel()
