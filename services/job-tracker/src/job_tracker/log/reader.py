"""Reads ranges of the log without a consumer group, for rebuild, audit and archive."""

import time
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from job_tracker.errors import LogBroken, LogTimeout
from job_tracker.log import records
from job_tracker.log.messages import reading
from job_tracker.log.records import Span
from service_kit.kafka_diagnosis import ConnectionErrors
from service_kit.kafka_security import Kafka

_WAIT = 0.1  # seconds that a begun batch waits for more
Item = TypeVar("Item")

TIMEOUT = 60.0  # seconds without any message until the reader gives up


def read_log(
    kafka: Kafka,
    spans: Mapping[records.TopicPartition, Span],
    most: int,
    convert: Callable[[Message, str, int, int], Item],
) -> Generator[list[Item]]:
    """The messages of each partition from `low` up to, not including, `high`, in batches of up to `most`.

    In order within each partition. `convert` gets topic, partition and offset
    too. Offsets that hold no message (transaction markers) are passed over.

    Raises:
        LogBroken: the log no longer holds a range.
        LogTimeout: nothing came for TIMEOUT seconds.
    """
    open_ends = {partition: span.high for partition, span in spans.items() if span.low < span.high}
    if not open_ends:
        return
    # A consumer must have a group; nothing joins this one and nothing is committed.
    errors = ConnectionErrors(kafka)
    consumer = Consumer(reading(kafka, "jobtrail-reader") | {"enable.partition.eof": True, "error_cb": errors})
    try:
        consumer.assign([TopicPartition(*partition, spans[partition].low) for partition in open_ends])
        heard = time.monotonic()
        while open_ends:
            messages = consumer.consume(most, _WAIT)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > TIMEOUT:
                missing = ", ".join(f"{topic}[{number}]" for topic, number in sorted(open_ends))
                reason = f": {errors.refusal}" if errors.refusal is not None else ""
                raise LogTimeout(f"Kafka at {kafka} sent nothing of {missing} for {TIMEOUT:.0f} s{reason}")
            batch: list[Item] = []
            for message in messages:
                topic, number, offset = message.topic(), message.partition(), message.offset()
                end = open_ends.get(partition := (topic or "", number or 0))
                if end is None or offset is None:
                    continue
                if message.error() is not None:
                    reached = _end_reached(message, offset)
                else:
                    reached = offset + 1
                    if offset < end:
                        batch.append(convert(message, *partition, offset))
                if reached is not None and reached >= end:
                    del open_ends[partition]
                    consumer.incremental_unassign([TopicPartition(*partition)])
            if batch:
                yield batch
                heard = time.monotonic()  # what the caller did with it was not Kafka's silence
    finally:
        consumer.close()


def _end_reached(message: Message, offset: int) -> int | None:
    """The offset of an end-of-partition event; None for transient errors."""
    error = message.error()
    if error is None or error.code() == KafkaError._PARTITION_EOF:  # pyright: ignore[reportPrivateUsage]
        return offset
    if error.code() in {
        KafkaError._AUTO_OFFSET_RESET,  # pyright: ignore[reportPrivateUsage]
        KafkaError.OFFSET_OUT_OF_RANGE,
    }:
        raise LogBroken(f"the log was trimmed while it was read: {error.str()}")
    if error.fatal():
        raise KafkaException(error)
    return None
