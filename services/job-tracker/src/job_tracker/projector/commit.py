"""The commit protocol: positions and rows move together, or not at all.

One transaction a batch:

1. compare-and-set of the positions, from what was held since assignment to what comes next. A
   partition that answers with no row was moved by another owner: its slice is dropped.
2. the projection's own writes, and a dead letter for what could not be read.

A value that PostgreSQL refuses is searched for by halving the batch; the record that fails alone
becomes a dead letter. So no poison stops a partition, and no good record is lost beside a bad one.
"""

from collections.abc import Sequence
from typing import Generic

import psycopg
import structlog

from job_events.sql_files import queries
from job_tracker.projector.postgres import Link, Stopped
from job_tracker.projector.records import (
    Content,
    Cursor,
    DeadLetter,
    Prepared,
    Projection,
    Record,
    TopicPartition,
)

log = structlog.get_logger()
_SQL = queries("job_tracker", "commit.sql")
Positions = dict[TopicPartition, int]

# SQLSTATE class 22 (data exception) and 23 (integrity), and what the driver refuses before sending.
DATA_ERRORS = (psycopg.DataError, psycopg.IntegrityError, UnicodeError, OverflowError)

__all__ = ["Committer", "Positions", "Stopped"]


class Fenced(Exception):
    """Another owner moved these partitions on."""

    def __init__(self, partitions: set[TopicPartition]) -> None:
        super().__init__(f"moved by another owner: {sorted(partitions)}")
        self.partitions = partitions


class Committer(Generic[Content]):
    """Writes prepared batches. `held` is where each assigned partition stands, and moves with each commit."""

    def __init__(self, link: Link, projection: Projection[Content]) -> None:
        self._link = link
        self._projection = projection
        self.held: Positions = {}
        self.fenced_batches = 0

    def commit(self, prepared: Prepared[Content]) -> set[TopicPartition]:
        """Write a batch, wholly or but for the partitions returned, which another owner moved on.

        Raises:
            Stopped: the process is asked to end while PostgreSQL is away; nothing of the rest was written.
        """
        lost: set[TopicPartition] = set()
        todo: list[Prepared[Content]] = [prepared]
        while todo:
            batch = todo.pop()
            if lost and any((r.topic, r.partition) in lost for r in batch.records):
                rest = [r for r in batch.records if (r.topic, r.partition) not in lost]
                batch = self._projection.prepare(rest)
            if not batch.records:
                continue
            try:
                self._write(batch)
            except Fenced as fenced:
                log.warning("another owner moved on", partitions=sorted(fenced.partitions))
                self.fenced_batches += 1
                lost |= fenced.partitions
                todo.append(batch)
            except DATA_ERRORS as error:
                todo.extend(self._halves(batch, error))
        return lost

    def _halves(self, batch: Prepared[Content], error: Exception) -> list[Prepared[Content]]:
        """The two halves, first one last (the list is a stack); a single record becomes a dead letter."""
        records = batch.records
        if len(records) == 1:
            if batch.content is None:
                raise error  # the dead letter itself was refused: no data of the log can do that
            return [Prepared(records, None, [DeadLetter(records[0], _reason(error))])]
        middle = len(records) // 2
        return [self._projection.prepare(records[middle:]), self._projection.prepare(records[:middle])]

    def _write(self, batch: Prepared[Content]) -> None:
        moves = self._moves(batch.records)

        def transaction(cursor: Cursor) -> None:
            self._move(cursor, moves)
            if batch.content is not None:
                self._projection.write(cursor, batch.content)
            for letter in batch.dead:
                cursor.execute(_SQL["bury"], letter.row())

        self._link.transact(transaction)
        for partition, (_, last) in moves.items():
            self.held[partition] = last.offset + 1
        self._link.poke()

    def _moves(self, records: Sequence[Record]) -> dict[TopicPartition, tuple[int, Record]]:
        last: dict[TopicPartition, Record] = {}
        for record in records:
            last[record.topic, record.partition] = record
        return {partition: (self.held[partition], last[partition]) for partition in sorted(last)}

    def _move(self, cursor: Cursor, moves: dict[TopicPartition, tuple[int, Record]]) -> None:
        cursor.execute(
            _SQL["move_positions"],
            {
                "projection": self._projection.name,
                "topics": [topic for topic, _ in moves],
                "partitions": [partition for _, partition in moves],
                "expected": [expected for expected, _ in moves.values()],
                "next_offsets": [record.offset + 1 for _, record in moves.values()],
                "applied_at": [record.appended_at for _, record in moves.values()],
            },
        )
        lost = set(moves) - {(str(topic), int(str(partition))) for topic, partition in cursor.fetchall()}
        if lost:
            raise Fenced(lost)


def _reason(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    sentence = str(error).splitlines()[0] if str(error) else repr(error)
    return f"PostgreSQL refused it{f' ({state})' if state else ''}: {sentence}"
