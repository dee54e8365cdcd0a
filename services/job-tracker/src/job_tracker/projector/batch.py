"""One batch of records on its way into a transaction: the projection that folds it, and its dead letters."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Generic, LiteralString, NamedTuple, Protocol, TypeVar

from job_events.envelope import job_id_in
from job_events.errors import InvalidEvent
from job_tracker.log.records import EmptyRange, Positions, Record, TopicPartition
from job_tracker.store.postgres import DATA_ERRORS, Cursor

MOST_BYTES = 64 * 2**20  # that the values of a batch have, about; so large records take no more memory than small ones
MAX_KEPT_BYTES = 65536  # a dead letter keeps this much of its value; the whole lies in the topic


class DeadLetterRow(NamedTuple):
    """A record that a consumer refused, with the reason.

    value_bytes: the true size of its value, where the record holds only the first part of it.
    """

    record: Record
    reason: str
    job_id: str | None = None
    consumer: str = "job-tracker"
    value_bytes: int | None = None

    @classmethod
    def of(cls, record: Record, error: InvalidEvent) -> "DeadLetterRow":
        """The dead letter of a record that was refused for this reason."""
        return cls(record, error.reason, error.job_id or job_id_in(record.value))

    def row(self) -> dict[str, object]:
        """The parameters of the insert. NUL and broken surrogates leave the texts, so that this row always fits."""
        record = self.record
        value = record.value
        return {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "consumer": self.consumer,
            "appended_at": record.appended_at,
            "reason": _clean(self.reason)[:2000],
            "job_id": self.job_id,
            "key": record.key[:MAX_KEPT_BYTES] if record.key is not None else None,
            "value": value[:MAX_KEPT_BYTES] if value is not None else None,
            "value_bytes": max(self.value_bytes or 0, len(value or b"")),
        }


Content = TypeVar("Content")


class Projection(Protocol[Content]):
    """One set of tables made from one set of topics. SQL names tables without a schema: the connection decides."""

    @property
    def name(self) -> str:
        """Names the Kafka group and the rows of `consumer_offset`."""
        ...

    @property
    def topics(self) -> list[str]: ...

    @property
    def remedy(self) -> str:
        """What an operator does when the log no longer holds what a position points at, in words."""
        ...

    @property
    def session(self) -> LiteralString:
        """SQL that each new connection runs first; it creates the temporary tables that `write` fills."""
        ...

    def begin(self) -> Content:
        """The content of a batch without records."""
        ...

    def add(self, content: Content, records: Sequence[Record]) -> list[DeadLetterRow]:
        """Decode records and fold them into the content, without I/O; invalid ones are returned as dead letters."""
        ...

    def pack(self, content: Content) -> None:
        """Encode what `write` sends. Nothing is added afterwards; packing again changes nothing."""
        ...

    def write(self, cursor: Cursor, content: Content) -> int:
        """Write packed content in the transaction that has moved the positions; returns how many rows changed."""
        ...


class Batch(Generic[Content]):
    """The records of one transaction, folded as they are added.

    `starts` says, once the batch is sealed, from where it moves each partition's position. The records
    are kept, to be halved when the database refuses a value. `empty` are offsets without a record that the batch
    passes too; a batch may have nothing else.
    """

    __slots__ = ("_last", "_projection", "content", "dead", "empty", "records", "size", "starts", "unpackable")

    def __init__(
        self, projection: Projection[Content], records: Sequence[Record] = (), empty: Iterable[EmptyRange] = ()
    ) -> None:
        self._projection = projection
        self._last: dict[TopicPartition, Record] = {}
        self.records: list[Record] = []
        self.empty: list[EmptyRange] = list(empty)
        self.size = 0  # bytes of all values
        self.content = projection.begin()
        self.dead: list[DeadLetterRow] = []
        self.starts: Positions = {}
        self.unpackable: Exception | None = None
        self.add(records)

    def add(self, records: Sequence[Record]) -> None:
        """Add records; invalid ones become dead letters of this batch."""
        self.records += records
        self.size += sum(len(record.value or b"") for record in records)
        self._last.update({(record.topic, record.partition): record for record in records})
        self.dead += self._projection.add(self.content, records)

    def pass_over(self, empty: Iterable[EmptyRange]) -> None:
        """Add offsets without a record, next to what the batch has read."""
        self.empty += empty

    @property
    def moves(self) -> bool:
        """Whether it moves any position."""
        return bool(self.records or self.empty)

    def is_full(self, most: int) -> bool:
        """Whether it holds `most` records, or MOST_BYTES."""
        return len(self.records) >= most or self.size >= MOST_BYTES

    def ends(self) -> dict[TopicPartition, tuple[int, datetime | None]]:
        """Where the batch ends in each partition, sorted by partition: the next offset, and when the last record came.

        The time is None where the batch has no record of the partition.
        """
        found: dict[TopicPartition, tuple[int, datetime | None]] = {
            partition: (record.offset + 1, record.appended_at) for partition, record in self._last.items()
        }
        for partition, _, high in self.empty:
            following, appended_at = found.get(partition, (0, None))
            found[partition] = (max(following, high), appended_at)
        return {partition: found[partition] for partition in sorted(found)}

    def pack(self) -> None:
        """Encode the batch, before the writer is free. Nothing is added afterwards.

        `unpackable` is the error of a value that PostgreSQL cannot store.
        """
        try:
            self._projection.pack(self.content)
        except DATA_ERRORS as error:
            self.unpackable = error

    def seal(self, starts: Positions) -> None:
        """Fix where the batch begins, and move `starts` to where it ends."""
        self.pack()
        for partition, (following, _) in self.ends().items():
            self.starts[partition] = starts[partition]
            starts[partition] = following

    def without(self, partitions: set[TopicPartition]) -> "Batch[Content]":
        """The batch without the records of these partitions."""
        kept = [record for record in self.records if (record.topic, record.partition) not in partitions]
        batch = Batch(self._projection, kept, [one for one in self.empty if one.partition not in partitions])
        if self.starts:
            batch.pack()
            batch.starts = {partition: start for partition, start in self.starts.items() if partition not in partitions}
        return batch

    def halves(self) -> "list[Batch[Content]]":
        """Two sealed batches, in order, that do together what this one does; a batch of one record is not divided."""
        if len(self.records) < 2:
            return [self]
        middle = len(self.records) // 2
        starts = dict(self.starts)
        parts = self.records[:middle], self.records[middle:]
        behind: Positions = {}  # where the second half begins
        for record in reversed(parts[1]):
            behind[record.topic, record.partition] = record.offset
        first = [one for one in self.empty if one.low < behind.get(one.partition, one.high)]
        second = [one for one in self.empty if one.low >= behind.get(one.partition, one.high)]
        batches = [Batch(self._projection, part, empty) for part, empty in zip(parts, (first, second), strict=True)]
        for batch in batches:
            batch.seal(starts)
        return batches

    def refused(self, reason: str) -> None:
        """Make this batch of one record, which the database refuses, the dead letter of it."""
        (record,) = self.records
        self.content, self.unpackable = self._projection.begin(), None
        self.dead = [DeadLetterRow(record, reason, job_id_in(record.value))]


def _clean(text: str) -> str:
    return text.replace("\x00", "\\u0000").encode(errors="backslashreplace").decode()
