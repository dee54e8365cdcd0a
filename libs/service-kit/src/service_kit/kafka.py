"""Kafka clients with the settings that correctness and speed need; both detect that they are stalled.

A librdkafka client may lose the addresses of all brokers and stay disconnected, without an error (ADR 11). Such a
client can only be replaced.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from service_kit.kafka_diagnosis import ConnectionErrors
from service_kit.kafka_security import CONNECTION_PROPERTIES, Kafka, connection_of

log = structlog.get_logger(__name__)
IDLE_SECONDS = 5.0  # without a message, after which the consumer is checked for brokers
_METADATA_TIMEOUT = 1.0  # seconds of one request for metadata
_FAILED_CHECKS = 2  # in a row before a consumer is stalled: a slow or paused broker may cost one
UNREAD_SECONDS = 90.0  # that messages may wait unread: longer than a group waits for a dead member
_UNREAD_INTERVAL = 20.0  # seconds between two checks for unread messages
_LEAVE_TIMEOUT = 5.0  # seconds for a consumer to leave its group

# Connections to all brokers. With the default, connections on demand, an AdminClient that waits for a dead leader or
# controller reconnects without a pause and uses a whole core (librdkafka 2.16).
TO_ALL_BROKERS: dict[str, str | int | float | bool] = {"enable.sparse.connections": False}

Settings = Mapping[str, Any]
UnreadPosition = tuple[str, int, int]
"""Topic, partition and offset of the first unread message."""
Headers = list[tuple[str, str | bytes | None]]
Report = Callable[[KafkaError | None, Message], None]


def producer(kafka: Kafka, client_id: str, delivery_timeout_ms: int = 10_000) -> "ReconnectingProducer":
    """An idempotent producer. A message unacknowledged after `delivery_timeout_ms` is reported as failed.

    The partitioner is the Java clients' own, so that every tool agrees on a key's partition.
    """
    return ReconnectingProducer(
        connection_of(kafka).client_config()
        | {
            "client.id": client_id,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": delivery_timeout_ms,
            "message.max.bytes": 2_097_152,
            "log_level": 2,  # the rest is reported by `error_cb`
            "error_cb": ConnectionErrors(kafka),
        }
    )


def consumer(kafka: Kafka, group: str, client_id: str) -> "MonitoredConsumer":
    """A consumer of the KIP-848 protocol that commits nothing by itself.

    The two fetch settings keep librdkafka from idling between fetches at high rates.
    """
    return MonitoredConsumer(
        connection_of(kafka).client_config()
        | {
            "group.id": group,
            "client.id": client_id,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 65_536,
            "log_level": 2,  # as of the producer
            "error_cb": ConnectionErrors(kafka),
        }
    )


class ReconnectingProducer:
    """A producer with the methods of librdkafka's that are needed here. Thread-safe.

    After a message has timed out, the next messages go through a new producer. The former producer stays until its
    messages are delivered or have failed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer = Producer(dict(settings))
        self._former: Producer | None = None
        self._failed = False

    def produce(
        self, topic: str, value: bytes | None, key: bytes | str, *, headers: Headers, on_delivery: Report | None = None
    ) -> None:
        """Put a message into the queue; `poll` and `flush` call `on_delivery` with the delivery report.

        Raises:
            BufferError: the queue is full.
            KafkaException
        """
        with self._lock:
            producer = self._usable()

            def report(error: KafkaError | None, message: Message) -> None:
                if error is not None and _is_permanent(error) and producer is self._producer:
                    self._failed = True
                if on_delivery is not None:
                    on_delivery(error, message)

            try:
                producer.produce(topic, value, key, headers=headers, on_delivery=report)
            except KafkaException as error:
                self._failed = self._failed or _is_permanent(error.args[0])
                raise

    def poll(self, timeout: float) -> None:
        """Call the delivery reports; waits `timeout` seconds for the first."""
        producer, former = self._both()
        producer.poll(timeout)
        if former is not None:
            former.poll(0)
            self._drop_if_empty(former)

    def flush(self, timeout: float) -> int:
        """Wait for all delivery reports, `timeout` seconds at most for each producer; returns how many are missing."""
        producer, former = self._both()
        left = 0
        if former is not None:
            left = former.flush(timeout)
            self._drop_if_empty(former)
        return left + producer.flush(timeout)

    def _usable(self) -> Producer:
        if self._failed and self._former is None:
            log.warning("producer replaced", reason="a message was not delivered in time")
            self._failed = False
            self._former, self._producer = self._producer, Producer(dict(self._settings))
        return self._producer

    def _both(self) -> tuple[Producer, Producer | None]:
        with self._lock:
            return self._producer, self._former

    def _drop_if_empty(self, former: Producer) -> None:
        with self._lock:
            if self._former is former and len(former) == 0:
                self._former = None


class MonitoredConsumer(Consumer):
    """A consumer that detects that it is stalled, and whose `leave` never hangs.

    It commits the positions of its group to Kafka. `monotonic` gives seconds that never jump.
    """

    # Positions for which a consumer was replaced already: it is tried once.
    _replaced_for: ClassVar[set[tuple[str, UnreadPosition]]] = set()

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(dict(settings))
        self._connection = {name: settings[name] for name in settings.keys() & CONNECTION_PROPERTIES}
        self._monotonic = monotonic
        self._group = str(settings["group.id"])
        self._since = monotonic()
        self._failed_checks = 0
        self._topics: list[str] = []
        self._missing: set[str] = set()
        self._unread_since: dict[UnreadPosition, float] = {}
        self._next_unread_check = monotonic() + _UNREAD_INTERVAL

    def subscribe(self, topics: list[str], *more: Any, **callbacks: Any) -> None:
        """As the method of librdkafka's consumer."""
        self._topics = list(topics)
        super().subscribe(topics, *more, **callbacks)

    def is_stalled(self, *, received: bool) -> bool:
        """Whether the consumer must be replaced; `received`: it has just received a message.

        It is stalled if it knows no broker although another client finds one (checked after IDLE_SECONDS without a
        message), or if messages stay unread for UNREAD_SECONDS in a partition that is not assigned to it.
        """
        now = self._monotonic()
        if self._misses_partition(now):
            return True
        if received:
            self._since, self._failed_checks = now, 0
        if now - self._since < IDLE_SECONDS:
            return False
        self._since = now
        alone = not _sees_brokers(self) and _sees_brokers(AdminClient(self._connection | {"log_level": 0}))
        self._failed_checks = self._failed_checks + 1 if alone else 0
        if self._failed_checks < _FAILED_CHECKS:
            return False
        log.warning("consumer stalled", reason="it knows no broker although another client finds one")
        return True

    def _misses_partition(self, now: float) -> bool:
        """Whether this consumer may have missed the assignment of a partition.

        No error shows it: the group takes the partition for assigned and does not assign it again (ADR 11).
        """
        if now < self._next_unread_check:
            return False
        self._next_unread_check = now + _UNREAD_INTERVAL
        try:
            unread = self._unread()
        except KafkaException:
            return False
        self._unread_since = {place: self._unread_since.get(place, now) for place in unread}
        for place, since in self._unread_since.items():
            if now - since >= UNREAD_SECONDS and (self._group, place) not in self._replaced_for:
                self._replaced_for.add((self._group, place))
                log.warning("consumer stalled", reason="an assigned partition is not being consumed", position=place)
                return True
        return False

    def _unread(self) -> set[UnreadPosition]:
        """Positions of the group with messages behind them, in partitions that are not assigned to this consumer."""
        own = {(place.topic, place.partition) for place in self.assignment()}
        known = self.list_topics(timeout=_METADATA_TIMEOUT).topics
        self._log_missing(set(self._topics) - known.keys())
        every = [(topic, number) for topic in self._topics if topic in known for number in known[topic].partitions]
        others = [TopicPartition(topic, number) for topic, number in every if (topic, number) not in own]
        found: set[UnreadPosition] = set()
        for place in self.committed(others, timeout=_METADATA_TIMEOUT) if others else []:
            low, high = self.get_watermark_offsets(place, timeout=_METADATA_TIMEOUT)
            if max(place.offset, low) < high:
                found.add((place.topic, place.partition, max(place.offset, low)))
        return found

    def _log_missing(self, missing: set[str]) -> None:
        """Log once that a topic is missing, and once that it is there; the client itself waits for it."""
        for topic in sorted(missing - self._missing):
            log.error("topic missing", topic=topic, group=self._group)
        for topic in sorted(self._missing - missing):
            log.info("topic found", topic=topic, group=self._group)
        self._missing = missing

    def leave(self) -> None:
        """Close it in a thread, which is abandoned if the group does not answer; then the member times out."""
        leaving = threading.Thread(target=self.close, name="consumer-close", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_TIMEOUT)
        if leaving.is_alive():
            log.warning("consumer did not leave its group in time", waited_seconds=_LEAVE_TIMEOUT)


def _is_permanent(error: KafkaError) -> bool:
    """Whether this producer may fail all further messages."""
    return error.fatal() or error.code() == KafkaError._MSG_TIMED_OUT  # pyright: ignore[reportPrivateUsage]


def _sees_brokers(client: Consumer | AdminClient) -> bool:
    try:
        return bool(client.list_topics(timeout=_METADATA_TIMEOUT).brokers)
    except KafkaException:
        return False
