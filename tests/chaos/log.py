"""The whole log of the broker, read without a consumer group."""

import time
import uuid

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.chaos.oracle import LogRecord

_PATIENCE = 120.0  # seconds
_AGAIN = 0.2  # seconds until a broker that refused is asked again


def read_log(bootstrap_servers: str, topics: list[str]) -> list[LogRecord]:
    """Every record from the oldest to the end as it was when this began, in offset order by partition.

    Raises:
        KafkaException, TimeoutError
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"chaos-reader-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    try:
        return _read(consumer, topics)
    finally:
        consumer.close()


def partitions_of(consumer: Consumer, topics: list[str]) -> list[TopicPartition]:
    """All partitions of these topics, from the broker's current metadata."""
    found: list[TopicPartition] = []
    for topic in topics:
        described = consumer.list_topics(topic, timeout=30).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        found += [TopicPartition(topic, number) for number in sorted(described.partitions)]
    return found


def _read(consumer: Consumer, topics: list[str]) -> list[LogRecord]:
    deadline = time.monotonic() + _PATIENCE
    bounds = _bounds(consumer, topics, deadline)
    ends = {(partition.topic, partition.partition): high for partition, high in bounds}
    starts = [partition for partition, _ in bounds]
    consumer.assign(starts)
    records: list[LogRecord] = []
    while ends:
        for message in consumer.consume(5000, 1.0):
            if message.error() is not None:
                continue  # a broker that is away is asked again until the deadline
            topic, number, offset = message.topic(), message.partition(), message.offset()
            end = ends.get((topic, number))
            if end is None or offset >= end:
                continue
            records.append(
                LogRecord(topic, number, offset, message.timestamp()[1], _bytes(message.key()), _bytes(message.value()))
            )
            if offset + 1 == end:
                del ends[topic, number]
        if time.monotonic() > deadline:
            raise TimeoutError(f"the log of {sorted(ends)} could not be read to its end")
    return sorted(records, key=lambda record: record.position)


def _bounds(consumer: Consumer, topics: list[str], deadline: float) -> list[tuple[TopicPartition, int]]:
    """Of each partition that holds records, where they begin and their end; a broker on its way back is asked again."""
    while True:
        try:
            found: list[tuple[TopicPartition, int]] = []
            for partition in partitions_of(consumer, topics):
                low, high = consumer.get_watermark_offsets(partition, timeout=30)
                if high > low:
                    found.append((TopicPartition(partition.topic, partition.partition, low), high))
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN)
        else:
            return found


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
