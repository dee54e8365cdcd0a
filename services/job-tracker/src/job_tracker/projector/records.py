"""What passes between the stages of a projector: records in, prepared batches on, dead letters aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

import psycopg

TopicPartition = tuple[str, int]
Cursor = psycopg.Cursor[tuple[object, ...]]
Connection = psycopg.Connection[tuple[object, ...]]

MAX_KEPT_BYTES = 65536  # a dead letter keeps this much of its value; the whole lies in the topic


class Record(NamedTuple):
    """One message of the log. `appended_at` is the broker's LogAppendTime, in UTC."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class DeadLetter(NamedTuple):
    """A record that no projection can take, with the reason for people."""

    record: Record
    reason: str
    job_id: str | None = None
    consumer: str = "job-tracker"

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
            "value_bytes": len(value) if value is not None else 0,
        }


Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Content]):
    """A batch ready to be written. `records` stay with it, to be halved when the database refuses a value."""

    records: Sequence[Record]
    content: Content | None
    dead: Sequence[DeadLetter]


class Projection(Protocol[Content]):
    """One set of tables kept from one set of topics."""

    @property
    def name(self) -> str:
        """Names the Kafka group and the rows of `tracker.consumer_offset`."""
        ...

    @property
    def topics(self) -> list[str]: ...

    def prepare(self, records: Sequence[Record]) -> Prepared[Content]:
        """Decode and fold; no I/O, and no record may raise."""
        ...

    def write(self, cursor: Cursor, content: Content) -> None:
        """Write inside the transaction that has just moved the positions."""
        ...


def _clean(text: str) -> str:
    return text.replace("\x00", "\\u0000").encode(errors="backslashreplace").decode()
