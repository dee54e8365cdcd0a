"""A producer of events at a steady rate that records when each was acknowledged."""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Delivered

from bench.workload import Message
from job_events.envelope import HEADERS

_LOOK = 0.001  # seconds between two looks for acknowledgements


class Acknowledged(NamedTuple):
    """An acknowledged event. at: monotonic clock. It is visible when its job shows `processed` or more."""

    job_id: str
    processed: int
    at: float


class Load:
    """Produces `rate` events a second while it is entered."""

    def __init__(self, kafka: str, topic: str, stream: Iterator[Message], rate: int) -> None:
        # As the services do, but not idempotent: librdkafka's thread of such a producer spins while five messages of a
        # partition wait for their acknowledgement, and takes up to a third of a core from what is measured.
        self._producer = Producer(
            {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "acks": "all", "linger.ms": 5, "log_level": 3}
        )
        self._topic = topic
        self._stream = stream
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.acknowledged: list[Acknowledged] = []

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        for number, message in enumerate(self._stream):
            due = began + number / self._rate
            while (left := due - time.monotonic()) > 0:
                # The client counts whole milliseconds: with a shorter time-out it would spin.
                time.sleep(min(left, _LOOK))
                self._producer.poll(0)
            if self._stop.is_set():
                break
            self._send(message)
        self._producer.flush(30)

    def _send(self, message: Message) -> None:
        def report(error: KafkaError | None, _: Delivered) -> None:
            if error is not None:
                raise RuntimeError(f"Kafka rejected an event: {error}")
            self.acknowledged.append(Acknowledged(message.key.decode(), message.processed, time.monotonic()))

        self._producer.produce(self._topic, message.value, message.key, headers=HEADERS, on_delivery=report)
