"""Messages as Kafka's client gives them, as records of the log."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from confluent_kafka import Message

from job_tracker.projector.records import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_record(message: Message, topic: str, partition: int, offset: int) -> Record:
    """The record of a message whose place is known."""
    _, milliseconds = message.timestamp()
    return Record(topic, partition, offset, _moment(milliseconds), as_bytes(message.key()), as_bytes(message.value()))


def as_bytes(value: str | bytes | None) -> bytes | None:
    """The client gives bytes, whatever its types say."""
    return value.encode() if isinstance(value, str) else value


@lru_cache(1024)  # the broker stamps all records of one append alike
def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(milliseconds, 0))
