"""Producers that send their workloads during the faults and record what Kafka acknowledged."""

import threading
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered
from tests.chaos.ledger import Ledger
from tests.chaos.log import read_log
from tests.chaos.messages import Message
from tests.chaos.projections import TOPICS
from tests.chaos.workload import Mix, Workload

_PATIENCE_MS = 180_000  # a record is given up after this, and counts as unknown


class Driver:
    """`rate` is records a second for each producer. `prefix` precedes the topics' names."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, ledger: Ledger, *, seed: str, producers: int, rate: float, mix: Mix
    ) -> None:
        self._servers, self._prefix, self._ledger, self._rate = bootstrap_servers, prefix, ledger, rate
        self.workloads = [Workload(seed, f"p{number}", mix) for number in range(producers)]
        self._no_more = threading.Event()
        self._failed: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(workload,), name=f"producer {workload.name}", daemon=True)
            for workload in self.workloads
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Start no more jobs, send the started ones to their ends, and wait for every delivery report.

        However soon it comes, each producer has sent as many jobs as its workload has in flight.
        """
        self.stop()
        if self._failed:
            raise self._failed[0]

    def stop(self) -> None:
        """The same, whether it was started or not, and whatever has become of it."""
        self._no_more.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def replay(self, most: int | None) -> int:
        """Send the log once more, or its `most` oldest records, while new events come; returns how many."""
        log = read_log(self._servers, [self._prefix + name for name in TOPICS])
        records = sorted(log, key=lambda record: record.appended_ms)[:most]
        with _Sender(self._servers, self._prefix, self._ledger) as send:
            for record in records:
                send(Message(record.topic.removeprefix(self._prefix), record.key, record.value))
        return len(records)

    def _guarded(self, workload: Workload) -> None:
        try:
            self._produce(workload)
        except Exception as error:
            self._failed.append(error)

    def _produce(self, workload: Workload) -> None:
        pace = threading.Event()
        with _Sender(self._servers, self._prefix, self._ledger) as send:
            for count, message in enumerate(workload.messages(lambda: not self._no_more.is_set())):
                send(message)
                if count % 10 == 0 and not self._no_more.is_set():
                    pace.wait(10 / self._rate)


class _Sender:
    """A producer as a function; leaving it waits until the fate of every record is known."""

    def __init__(self, servers: str, prefix: str, ledger: Ledger) -> None:
        self._prefix, self._ledger = prefix, ledger
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "acks": "all",
                "linger.ms": 5,
                "message.max.bytes": 2_000_000,
                "message.timeout.ms": _PATIENCE_MS,
                "reconnect.backoff.max.ms": 1000,
                "topic.metadata.refresh.interval.ms": 2_000,
                "log_level": 0,
            }
        )

    def __enter__(self) -> Callable[[Message], None]:
        return self._send

    def __exit__(self, *_: object) -> None:
        self._producer.flush(_PATIENCE_MS / 1000 + 30)

    def _send(self, message: Message) -> None:
        topic = self._prefix + message.topic
        self._ledger.sending()
        while True:
            try:
                self._producer.produce(
                    topic, message.value, message.key, on_delivery=partial(self._delivered, topic, message)
                )
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:  # refused before it was sent
                return self._ledger.heard(topic, message, None, str(error))
        self._producer.poll(0)
        return None

    def _delivered(self, topic: str, message: Message, error: KafkaError | None, record: Delivered) -> None:
        partition, offset = record.partition(), record.offset()
        place = (partition, offset) if error is None and partition is not None and offset is not None else None
        self._ledger.heard(topic, message, place, error.str() if error else None)
