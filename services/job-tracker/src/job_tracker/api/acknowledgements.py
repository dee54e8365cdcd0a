"""Acknowledgements of dead letters: by whom, when, and why."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg_pool import AsyncConnectionPool

from job_tracker.api.tenancy import scope_values
from job_tracker.domain.scope import Scope
from job_tracker.errors import UnknownDeadLetters
from job_tracker.store.timeouts import with_timeout
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "dead_letters.sql")


class DeadLetterPosition(NamedTuple):
    """The key of a dead letter: the position of the refused record, and the consumer that refused it."""

    topic: str
    partition: int
    offset: int
    consumer: str


class Acknowledgements:
    """Reads and writes `tracker.dead_letter_ack`, which only the API writes."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def add(self, letters: Sequence[DeadLetterPosition], acknowledged_by: str, reason: str, scope: Scope) -> int:
        """Acknowledge all of `letters` or none; how many were not acknowledged before.

        One of a job outside of the scope is unknown.

        Raises:
            UnknownDeadLetters
        """
        topics, partitions, offsets, consumers = (list(column) for column in zip(*letters, strict=True))
        async with self._pool.connection() as connection, with_timeout(connection):
            adding = await connection.execute(
                _SQL["acknowledge"].format(scope=f" AND {_SQL['visible']}" if scope.tenants is not None else ""),
                scope_values(scope)
                | {
                    "topics": topics,
                    "partitions": partitions,
                    "offsets": offsets,
                    "consumers": consumers,
                    "acknowledged_by": acknowledged_by,
                    "reason": reason,
                },
            )
            row = await adding.fetchone()
        assert row is not None  # noqa: S101 - it always returns one row
        unknown, acknowledged = row
        if unknown:
            raise UnknownDeadLetters(unknown)
        return acknowledged
