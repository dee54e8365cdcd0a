"""A bound for a PostgreSQL that hangs: it takes connections and questions, and answers nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from job_tracker.errors import PostgresTimeout

PATIENCE = 10.0  # seconds; the slowest question takes less than one


@asynccontextmanager
async def with_timeout(connection: psycopg.AsyncConnection[Any]) -> AsyncGenerator[None]:
    """What is asked on `connection` inside is answered within PATIENCE seconds, or given up.

    The socket is closed first: psycopg meets a mere cancellation by waiting for the server to confirm it.

    Raises:
        NoAnswer
    """
    task, given_up = asyncio.current_task(), False
    assert task is not None  # noqa: S101 - a coroutine always runs in one

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        connection.pgconn.finish()
        task.cancel()

    patience = asyncio.get_running_loop().call_later(PATIENCE, give_up)
    try:
        yield
    except asyncio.CancelledError:
        if not given_up or task.uncancel() > 0:
            raise
        raise PostgresTimeout(f"PostgreSQL has not answered within {PATIENCE:g} s") from None
    finally:
        patience.cancel()
