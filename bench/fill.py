"""Produce the workload to a topic: `python -m bench.fill --kafka HOST:PORT --prefix P --events N`."""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Delivered
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.workload import Message, Shape, messages
from job_events.envelope import HEADERS
from job_events.topics import Topics
from service_kit.kafka_admin import create_topics

PARTITIONS = 3


def create(kafka: str, topics: Topics) -> None:
    """Create the contract's topics; the events' topic gets as many partitions as the workload needs."""
    spec = next(replace(spec, partitions=PARTITIONS) for spec in topics.specs() if spec.name == topics.events)
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 2})
    made = admin.create_topics([NewTopic(spec.name, spec.partitions, 1, config=spec.config())])
    for future in made.values():
        future.result(30)
    create_topics(kafka, topics)


@dataclass(frozen=True, slots=True)
class Filled:
    """The content of a topic: the number of events, and the job of the last event of each partition."""

    events: int
    last_jobs: tuple[str, ...]


def fill(kafka: str, topic: str, stream: Iterable[Message]) -> Filled:
    """Produce all of them and wait until the broker has acknowledged each.

    Raises:
        RuntimeError: one was not acknowledged.
    """
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 200_000,
            "log_level": 3,
        }
    )
    failures: list[KafkaError] = []
    last: dict[int | None, bytes | str | None] = {}

    def report(error: KafkaError | None, message: Delivered) -> None:
        if error is not None:
            failures.append(error)
        last[message.partition()] = message.key()

    count = 0
    for message in stream:
        while True:
            try:
                producer.produce(topic, message.value, message.key, headers=HEADERS, on_delivery=report)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    if left or failures:
        raise RuntimeError(f"Kafka did not take {left + len(failures)} of {count} events: {failures[:1]}")
    return Filled(count, tuple(key.decode() for key in last.values() if isinstance(key, bytes)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.fill", description=__doc__)
    parser.add_argument("--kafka", required=True, help="host:port of a broker")
    parser.add_argument("--prefix", required=True, help="put before the topics' names; they must be new")
    parser.add_argument("--events", type=int, default=Shape().events, help="how many")
    asked = parser.parse_args()
    topics = Topics(asked.prefix)
    create(asked.kafka, topics)
    began = time.monotonic()
    count = fill(asked.kafka, topics.events, messages(Shape.of_events(asked.events))).events
    seconds = time.monotonic() - began
    print(f"{count} events in {topics.events}, {count / seconds:.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
