"""Idempotency keys: a request with the same key and body gets the same job."""

from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from job_tracker.api.command_publisher import Identity
from job_tracker.errors import IdempotencyKeyReused
from job_tracker.store.timeouts import with_timeout
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The identity that belongs to a key; `token` is set once Kafka has acknowledged it."""

    identity: Identity
    token: str | None


class IdempotencyKeys:
    """Reads and writes `tracker.api_key`, which only the API writes."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def claim(self, tenant: str, key: str, request_hash: str, fresh: Identity) -> IdempotencyClaim:
        """`fresh` becomes the key's identity unless the key has one already.

        Raises:
            IdempotencyKeyReused
        """
        async with self._pool.connection() as connection, with_timeout(connection):
            claimed = await connection.execute(
                _SQL["claim_key"],
                {
                    "tenant": tenant,
                    "key": key,
                    "request_hash": request_hash,
                    "job_id": fresh.job_id,
                    "chain": fresh.chain,
                    "event_time": fresh.time,
                },
            )
            row = await claimed.fetchone()
        assert row is not None  # noqa: S101 - it inserts a row or finds one
        held_hash, job_id, chain, time, token = row
        if held_hash != request_hash:
            raise IdempotencyKeyReused
        return IdempotencyClaim(Identity(job_id, chain, time), token)

    async def holds(self, tenant: str, key: str) -> bool:
        """Whether a request has come with this key before."""
        async with self._pool.connection() as connection, with_timeout(connection):
            found = await connection.execute(_SQL["held_key"], {"tenant": tenant, "key": key})
            return await found.fetchone() is not None

    async def settle(self, tenant: str, key: str, token: str) -> None:
        """Store the token of an acknowledged request; later requests with the key get the same answer.

        If PostgreSQL is unavailable, a retry publishes the same event again, which changes nothing.
        """
        with suppress(psycopg.OperationalError, PoolTimeout):
            async with self._pool.connection() as connection, with_timeout(connection):
                await connection.execute(_SQL["settle_key"], {"tenant": tenant, "key": key, "token": token})
