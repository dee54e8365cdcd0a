"""The commit protocol: positions and rows move together, or not at all.

One transaction a batch:

1. compare-and-set of the positions, from where the batch begins to where it ends. Another owner has moved a
   partition for which no row is returned: its part of the batch is dropped. A batch may have no record at all:
   transaction markers at the end of a partition move its position too.
2. the projection's own writes, and a dead letter for what could not be read.
3. the precondition of the commit: the records came from the log that the positions belong to.

A batch that PostgreSQL refuses because of a value is halved until the record with that value is found; it becomes a
dead letter. So no invalid record stops a partition, and no valid record is lost with it.
"""

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic

import psycopg
import structlog

from job_tracker.errors import Fenced, ForeignLog
from job_tracker.log.records import TopicPartition
from job_tracker.projector.batch import Batch, Content, Projection
from job_tracker.store.postgres import DATA_ERRORS, Cursor, RetryingConnection
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "commit.sql")
_PRECONDITION_TIMEOUT = 3.0  # seconds that a transaction waits at most


def no_failpoint(_point: str) -> None:
    """The default for `failpoint`, which is called at the named points of the protocol; tests inject crashes there."""


class Committer(Generic[Content]):
    """Writes sealed batches through one connection.

    `fenced_batches` counts batches that lost a partition, `rows` the rows that commits have changed in the projection's
    tables, `dead_letters` those that they have added.
    """

    def __init__(
        self,
        connection: RetryingConnection,
        projection: Projection[Content],
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self._connection = connection
        self._projection = projection
        self._failpoint = failpoint
        self.fenced_batches = 0
        self.rows = self.dead_letters = 0

    def commit(self, batch: Batch[Content], precondition: Future[set[str]] | None = None) -> set[TopicPartition]:
        """Write a batch without the partitions that are returned: another owner has moved them, or their topic is among
        those that `precondition` names as unusable.

        Nothing is committed before `precondition` is done; its exception is raised here.

        Raises:
            Stopping: the process is asked to end while PostgreSQL is away; the rest was not written.
        """
        lost: set[TopicPartition] = set()
        todo = [batch]
        while todo:
            batch = todo.pop()
            if not lost.isdisjoint(batch.starts):
                batch = batch.without(lost)
            if not batch.moves:
                continue
            try:
                self._write(batch, precondition)
            except Fenced as fenced:
                log.warning("fenced: another owner has moved the positions", partitions=sorted(fenced.partitions))
                self.fenced_batches += 1
                lost |= fenced.partitions
                todo.append(batch)
            except ForeignLog as unusable:
                lost |= unusable.partitions
                todo.append(batch)
            except DATA_ERRORS as error:
                todo.extend(self._smaller(batch, error))
            except psycopg.errors.TransactionTimeout:
                # Half of the batch may be in time; a single record must eventually fit.
                log.warning("transaction timed out", records=len(batch.records))
                todo.extend(batch.halves()[::-1])
        return lost

    def _smaller(self, batch: Batch[Content], error: Exception) -> list[Batch[Content]]:
        """The two halves, first one last (the list is a stack); a single record becomes a dead letter."""
        if len(batch.records) > 1:
            return batch.halves()[::-1]
        if batch.dead or not batch.records:
            raise error  # PostgreSQL refuses a dead letter, which no data of the log can cause
        batch.refused(_reason(error))
        return [batch]

    def _write(self, batch: Batch[Content], precondition: Future[set[str]] | None) -> None:
        if batch.unpackable is not None:
            raise batch.unpackable

        def transaction(cursor: Cursor) -> tuple[int, int]:
            self._move(cursor, batch)
            self._failpoint("before_copy")
            rows = self._projection.write(cursor, batch.content) if batch.records else 0
            self._failpoint("after_copy")
            dead_letters = sum(
                cursor.execute(_SQL["insert_dead_letter"], dead_letter.row()).rowcount for dead_letter in batch.dead
            )
            if precondition is not None:
                unusable = precondition.result(_PRECONDITION_TIMEOUT)
                if partitions := {partition for partition in batch.starts if partition[0] in unusable}:
                    raise ForeignLog(partitions)
            self._failpoint("before_commit")
            return rows, dead_letters

        try:
            rows, dead_letters = self._connection.transact(transaction, whole=False)
        except TimeoutError:
            # Rows must not stay locked while Kafka is waited for.
            if precondition is not None:
                wait([precondition])
            rows, dead_letters = self._connection.transact(transaction, whole=False)
        self._failpoint("after_commit")
        self.rows += rows
        self.dead_letters += dead_letters
        self._connection.notify()

    def _move(self, cursor: Cursor, batch: Batch[Content]) -> None:
        ends = batch.ends()
        cursor.execute(
            _SQL["move_positions"],
            {
                "projection": self._projection.name,
                "topics": [topic for topic, _ in ends],
                "partitions": [partition for _, partition in ends],
                "expected": [batch.starts[partition] for partition in ends],
                "next_offsets": [following for following, _ in ends.values()],
                "applied_at": [appended_at for _, appended_at in ends.values()],
            },
        )
        lost = set(ends) - {(str(topic), int(str(partition))) for topic, partition in cursor.fetchall()}
        if lost:
            raise Fenced(lost)
        if batch.empty:
            cursor.execute(
                _SQL["insert_empty_offsets"],
                {
                    "projection": self._projection.name,
                    "topics": [topic for (topic, _), _, _ in batch.empty],
                    "partitions": [partition for (_, partition), _, _ in batch.empty],
                    "lows": [one.low for one in batch.empty],
                    "highs": [one.high for one in batch.empty],
                },
            )


def _reason(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    sentence = str(error).splitlines()[0] if str(error) else repr(error)
    return f"PostgreSQL refused it{f' ({state})' if state else ''}: {sentence}"
