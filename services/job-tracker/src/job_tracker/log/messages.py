"""The settings of consumers, and messages of the client as records of the log."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from confluent_kafka import Message

from job_tracker.log.broker import quiet
from job_tracker.log.records import Record
from service_kit.kafka_security import ClientConfig, Kafka

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READING: dict[str, str | int | float | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # A position outside of the log is an error, and never reset automatically.
    "auto.offset.reset": "error",
    # Skips records of aborted transactions, and waits for the end of open ones.
    "isolation.level": "read_committed",
    # librdkafka's defaults sit idle between fetches at high rates.
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 32_768,
}


def reading(kafka: Kafka, group: str) -> ClientConfig:
    """Settings of a consumer with given positions, which skips nothing."""
    return quiet(kafka) | _READING | {"group.id": group}


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
