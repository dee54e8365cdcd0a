"""Kafka clients with the settings that correctness and speed need, and what to do with one that has gone deaf.

A client that has seen a broker at its start may know of none ever again (ADR 11). It says nothing; it can only be
replaced.
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
QUIET = 5.0  # seconds without a message after which it is asked whether there is anybody to hear
_LOOK = 1.0  # seconds that a client may take to name a broker
_LOOKS = 2  # in vain, one after the other: a broker that is slow or paused may cost one
UNREAD = 90.0  # seconds that messages may wait for a reader: longer than a group waits for a member that died
_COUNT = 20.0  # seconds between two looks at what waits
_LEAVING = 5.0  # seconds that a consumer may take to leave its group

# Connections to all brokers at any time. With the usual ones on demand, an AdminClient that waits for a dead leader or
# controller connects again and again without a pause, and uses up a core (librdkafka 2.16).
TO_ALL_BROKERS: dict[str, str | int | float | bool] = {"enable.sparse.connections": False}

Settings = Mapping[str, Any]
Waiting = tuple[str, int, int]
"""Topic, partition and offset of the first message that waits for a reader."""
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
            "log_level": 2,  # what it would say with more is said by `error_cb`
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
            "log_level": 2,  # as the producer's
            "error_cb": ConnectionErrors(kafka),
        }
    )


class ReconnectingProducer:
    """A producer, with the methods of librdkafka's that are needed here. Any thread may use it.

    Once a message has waited in vain, the next ones go through a new producer; the former one keeps what it has until
    that is delivered or has failed too.
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
        """Put a message into the queue; `on_delivery` is told of its fate by `poll` or `flush`.

        Raises:
            BufferError: the queue is full.
            KafkaException
        """
        with self._lock:
            producer = self._usable()

            def told(error: KafkaError | None, message: Message) -> None:
                if error is not None and _hopeless(error) and producer is self._producer:
                    self._failed = True
                if on_delivery is not None:
                    on_delivery(error, message)

            try:
                producer.produce(topic, value, key, headers=headers, on_delivery=told)
            except KafkaException as error:
                self._failed = self._failed or _hopeless(error.args[0])
                raise

    def poll(self, timeout: float) -> None:
        """Tell of messages' fates; waits `timeout` seconds for the first."""
        producer, former = self._both()
        producer.poll(timeout)
        if former is not None:
            former.poll(0)
            self._let_go(former)

    def flush(self, timeout: float) -> int:
        """Wait until all fates are told, `timeout` seconds at most for each producer; how many are not."""
        producer, former = self._both()
        left = 0
        if former is not None:
            left = former.flush(timeout)
            self._let_go(former)
        return left + producer.flush(timeout)

    def _usable(self) -> Producer:
        if self._failed and self._former is None:
            log.warning("a message was not delivered in time; the next ones go through a new producer")
            self._failed = False
            self._former, self._producer = self._producer, Producer(dict(self._settings))
        return self._producer

    def _both(self) -> tuple[Producer, Producer | None]:
        with self._lock:
            return self._producer, self._former

    def _let_go(self, former: Producer) -> None:
        with self._lock:
            if self._former is former and len(former) == 0:
                self._former = None


class MonitoredConsumer(Consumer):
    """A consumer that can tell being deaf from having nothing to hear, and that never hangs when it leaves.

    Its group's positions are committed to Kafka. `monotonic` gives seconds that never jump.
    """

    # Where another consumer was to help already: it shall not be tried for ever.
    _tried: ClassVar[set[tuple[str, Waiting]]] = set()

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(dict(settings))
        self._connection = {name: settings[name] for name in settings.keys() & CONNECTION_PROPERTIES}
        self._monotonic = monotonic
        self._group = str(settings["group.id"])
        self._since = monotonic()
        self._in_vain = 0
        self._topics: list[str] = []
        self._missing: set[str] = set()
        self._waiting: dict[Waiting, float] = {}
        self._next_count = monotonic() + _COUNT

    def subscribe(self, topics: list[str], *more: Any, **callbacks: Any) -> None:
        """As the client's own."""
        self._topics = list(topics)
        super().subscribe(topics, *more, **callbacks)

    def is_stalled(self, *, heard: bool) -> bool:
        """Whether another one must take its place; `heard`: a message has just come.

        It knows no broker although others find one (looks after every QUIET seconds of silence, which takes two while
        Kafka is away), or messages wait UNREAD seconds for a reader in a partition that is not its own.
        """
        now = self._monotonic()
        if self._is_ignored(now):
            return True
        if heard:
            self._since, self._in_vain = now, 0
        if now - self._since < QUIET:
            return False
        self._since = now
        alone = not _sees_brokers(self) and _sees_brokers(AdminClient(self._connection | {"log_level": 0}))
        self._in_vain = self._in_vain + 1 if alone else 0
        if self._in_vain < _LOOKS:
            return False
        log.warning("the consumer has forgotten every broker; another one takes its place")
        return True

    def _is_ignored(self, now: float) -> bool:
        """Whether it is perhaps this consumer that does not know of a partition which the group has given to it.

        Nobody says so: the group believes it to be read, and does not give it to it again (ADR 11).
        """
        if now < self._next_count:
            return False
        self._next_count = now + _COUNT
        try:
            waiting = self._unread()
        except KafkaException:
            return False
        self._waiting = {place: self._waiting.get(place, now) for place in waiting}
        for place, since in self._waiting.items():
            if now - since >= UNREAD and (self._group, place) not in self._tried:
                self._tried.add((self._group, place))
                log.warning("nobody reads what waits; another consumer takes the place of this one", position=place)
                return True
        return False

    def _unread(self) -> set[Waiting]:
        """Positions of the group, in partitions that are not this consumer's own, behind which there are messages."""
        own = {(place.topic, place.partition) for place in self.assignment()}
        known = self.list_topics(timeout=_LOOK).topics
        self._tell_missing(set(self._topics) - known.keys())
        every = [(topic, number) for topic in self._topics if topic in known for number in known[topic].partitions]
        others = [TopicPartition(topic, number) for topic, number in every if (topic, number) not in own]
        found: set[Waiting] = set()
        for place in self.committed(others, timeout=_LOOK) if others else []:
            low, high = self.get_watermark_offsets(place, timeout=_LOOK)
            if max(place.offset, low) < high:
                found.add((place.topic, place.partition, max(place.offset, low)))
        return found

    def _tell_missing(self, missing: set[str]) -> None:
        """Say once that a topic is missing, and once that it is there: the client waits for it by itself."""
        for topic in sorted(missing - self._missing):
            log.error("topic missing", topic=topic, group=self._group)
        for topic in sorted(self._missing - missing):
            log.info("topic found", topic=topic, group=self._group)
        self._missing = missing

    def leave(self) -> None:
        """Close it. If it cannot reach its group, which may last for ever, it is left behind, and times out there."""
        leaving = threading.Thread(target=self.close, name="a consumer that leaves its group", daemon=True)
        leaving.start()
        leaving.join(_LEAVING)
        if leaving.is_alive():
            log.warning("the consumer could not leave its group", waited_seconds=_LEAVING)


def _hopeless(error: KafkaError) -> bool:
    """Whether this producer may fail for ever."""
    return error.fatal() or error.code() == KafkaError._MSG_TIMED_OUT  # pyright: ignore[reportPrivateUsage]


def _sees_brokers(client: Consumer | AdminClient) -> bool:
    try:
        return bool(client.list_topics(timeout=_LOOK).brokers)
    except KafkaException:
        return False
