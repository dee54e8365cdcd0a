"""Messages that a test puts on topics: each arrives, or the test fails and says why."""

from typing import Any

from confluent_kafka import KafkaError, Message, Producer

_PATIENCE = 400.0  # seconds; librdkafka itself gives a message up after 300


class Deliveries:
    """A producer that tells of every message that has not arrived: `flush` alone counts one that failed as done."""

    def __init__(self, kafka: str) -> None:
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True}
        )

    def put(self, topic: str, value: bytes | None, key: bytes | str | None = None, **more: Any) -> None:
        """Put a message into the queue; `more` as in confluent_kafka's `produce`."""
        self._producer.produce(topic, value, key, on_delivery=self._told, **more)
        self._producer.poll(0)

    def arrive(self) -> None:
        """Wait until all messages are in Kafka."""
        assert (self._producer.flush(_PATIENCE), self._failed) == (0, [])

    def send(self, topic: str, value: bytes | None, key: bytes | str | None = None, **more: Any) -> None:
        """Put one message on a topic and wait until it is there."""
        self.put(topic, value, key, **more)
        self.arrive()

    def _told(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)
