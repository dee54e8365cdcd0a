"""Records of the log, and their positions."""

from datetime import datetime
from typing import NamedTuple

TopicPartition = tuple[str, int]
Positions = dict[TopicPartition, int]


class Span(NamedTuple):
    """What a partition holds: offsets from `low` up to, not including, `high`."""

    low: int
    high: int


class EmptyRange(NamedTuple):
    """Offsets of one partition from `low` up to, not including, `high` that hold no record.

    They are transaction markers, or records of a transaction that was aborted.
    """

    partition: TopicPartition
    low: int
    high: int


class Record(NamedTuple):
    """One message of the log. `appended_at` is the broker's LogAppendTime, in UTC."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None
