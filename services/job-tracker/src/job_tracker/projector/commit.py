"""The commit protocol: positions and rows move together, or not at all.

One transaction a batch:

1. compare-and-set of the positions, from where the batch begins to where it ends. A partition that
   answers with no row was moved by another owner: its slice is dropped. A batch may have no record at all: transaction
   markers at the end of a partition move its position too.
2. the projection's own writes, and a dead letter for what could not be read.
3. what must be sure before the commit, such as that the records came from the log the positions belong to.

A value that PostgreSQL refuses is searched for by halving the batch; the record that fails alone
becomes a dead letter. So no poison stops a partition, and no good record is lost beside a bad one.
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
_SURE_WITHIN = 3.0  # seconds that a transaction waits at most


def no_failpoint(_point: str) -> None:
    """Called at the named points of the protocol; trials that kill the process there hand in another."""


class Committer(Generic[Content]):
    """Writes sealed batches through one connection.

    `fenced_batches` counts those that lost a partition; `rows` and `letters` count what commits have changed in the
    projection's tables, and the dead letters that they have added.
    """

    def __init__(
        self, link: RetryingConnection, projection: Projection[Content], at: Callable[[str], None] = no_failpoint
    ) -> None:
        self._link = link
        self._projection = projection
        self._at = at
        self.fenced_batches = 0
        self.rows = self.letters = 0

    def commit(self, batch: Batch[Content], sure: Future[set[str]] | None = None) -> set[TopicPartition]:
        """Write a batch, wholly or but for the partitions returned: another owner moved them on, or their topic is
        among those that `sure` names as unusable.

        Nothing is committed before `sure` is done; what it raises is raised here.

        Raises:
            Stopped: the process is asked to end while PostgreSQL is away; nothing of the rest was written.
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
                self._write(batch, sure)
            except Fenced as fenced:
                log.warning("another owner moved on", partitions=sorted(fenced.partitions))
                self.fenced_batches += 1
                lost |= fenced.partitions
                todo.append(batch)
            except ForeignLog as unusable:
                lost |= unusable.partitions
                todo.append(batch)
            except DATA_ERRORS as error:
                todo.extend(self._smaller(batch, error))
            except psycopg.errors.TransactionTimeout:
                # Slow as the server is now, half of it may be in time; the least there is must be, some day.
                log.warning("the transaction took too long", records=len(batch.records))
                todo.extend(batch.halves()[::-1])
        return lost

    def _smaller(self, batch: Batch[Content], error: Exception) -> list[Batch[Content]]:
        """The two halves, first one last (the list is a stack); a single record becomes a dead letter."""
        if len(batch.records) > 1:
            return batch.halves()[::-1]
        if batch.dead or not batch.records:
            raise error  # what the projector itself has written was refused: no data of the log can do that
        batch.refused(_reason(error))
        return [batch]

    def _write(self, batch: Batch[Content], sure: Future[set[str]] | None) -> None:
        if batch.unpackable is not None:
            raise batch.unpackable

        def transaction(cursor: Cursor) -> tuple[int, int]:
            self._move(cursor, batch)
            self._at("before_copy")
            rows = self._projection.write(cursor, batch.content) if batch.records else 0
            self._at("after_copy")
            letters = sum(cursor.execute(_SQL["bury"], letter.row()).rowcount for letter in batch.dead)
            if sure is not None:
                unusable = sure.result(_SURE_WITHIN)
                if partitions := {partition for partition in batch.starts if partition[0] in unusable}:
                    raise ForeignLog(partitions)
            self._at("before_commit")
            return rows, letters

        try:
            rows, letters = self._link.transact(transaction, whole=False)
        except TimeoutError:
            # Nobody keeps rows locked while waiting for Kafka.
            if sure is not None:
                wait([sure])
            rows, letters = self._link.transact(transaction, whole=False)
        self._at("after_commit")
        self.rows += rows
        self.letters += letters
        self._link.poke()

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
                _SQL["note_empty"],
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
