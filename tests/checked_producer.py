"""A Kafka producer whose `flush` fails the test if a message was not delivered."""

from typing import Any

from confluent_kafka import KafkaError, Message, Producer

_FLUSH_SECONDS = 400.0  # librdkafka gives a message up after 300


class CheckedProducer:
    """Keeps the delivery errors: librdkafka's own `flush` counts a failed message as done."""

    def __init__(self, kafka: str) -> None:
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True}
        )

    def produce(self, topic: str, value: bytes | None, key: bytes | str | None = None, **more: Any) -> None:
        """Put a message into the queue; `more` as in confluent_kafka's `produce`."""
        self._producer.produce(topic, value, key, on_delivery=self._delivered, **more)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all messages are in Kafka."""
        assert (self._producer.flush(_FLUSH_SECONDS), self._failed) == (0, [])

    def send(self, topic: str, value: bytes | None, key: bytes | str | None = None, **more: Any) -> None:
        """Produce one message and wait until it is in Kafka."""
        self.produce(topic, value, key, **more)
        self.flush()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)
