"""Ends a stalled agent: one chunk takes too long, or messages wait on its partitions and none is processed.

A Faust stream can stop without an error while its heartbeats go on. What counts is the time since the last chunk,
because one partition may wait while another is processed.
"""

import threading
import time
from collections.abc import Callable, Iterable

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from matcher.agent.exit import STOOD_STILL, leave
from service_kit.kafka_diagnosis import ConnectionErrors, quiet_config
from service_kit.kafka_security import Kafka, connection_of

log = structlog.get_logger(__name__)
_LOOK_SECONDS = 2.0
_KAFKA_SECONDS = 5.0


class Watchdog:
    """Knows the begin and end of every chunk; checks in a thread of its own. leave: replaced by tests."""

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        *,
        idle_seconds: float,
        chunk_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = leave,
    ) -> None:
        self._kafka = connection_of(kafka)
        self._topic = topic
        self._idle_seconds = idle_seconds
        self._chunk_seconds = chunk_seconds
        self._clock = clock
        self._leave = leave
        self._last = clock()
        self._began: float | None = None
        self._missing = False

    def began(self) -> None:
        """Note that a chunk is begun."""
        self._began = self._clock()

    def done(self) -> None:
        """Note that a chunk is finished, or that there is an outside reason that none is."""
        self._began = None
        self._last = self._clock()

    def start(self, group: str, partitions: Callable[[], Iterable[int]]) -> None:
        """Check until the process ends. partitions: those of the topic that this process owns now."""
        threading.Thread(target=self._run, args=(group, partitions), name="watchdog", daemon=True).start()

    def look(self, lag: Callable[[], int]) -> None:
        """Check once; `lag` is read only where no chunk was finished for `idle_seconds`.

        Raises:
            KafkaException: from `lag`.
        """
        now = self._clock()
        if self._began is not None:
            if now - self._began > self._chunk_seconds:
                log.error("chunk stalled", seconds=round(now - self._began))
                self._leave(STOOD_STILL)
        elif now - self._last > self._idle_seconds:
            waiting = lag()
            if waiting > 0 and self._began is None and self._clock() - self._last > self._idle_seconds:
                log.error("agent stalled", messages=waiting, seconds=round(now - self._last))
                self._leave(STOOD_STILL)
            elif waiting == 0:
                self._last = now

    def _run(self, group: str, partitions: Callable[[], Iterable[int]]) -> None:
        # It does not join the group; it only reads what the group has committed.
        consumer = Consumer(
            quiet_config(self._kafka)
            | {"group.id": group, "enable.auto.commit": False, "error_cb": ConnectionErrors(self._kafka)}
        )
        pause = threading.Event()
        while not pause.wait(_LOOK_SECONDS):
            try:
                self._look_for_topic(consumer)
                self.look(lambda: self._lag(consumer, list(partitions())))
            except KafkaException as error:
                consumer.poll(0)  # logs the errors of the connection
                log.warning("lag unknown", reason=error.args[0].str())
                self.done()  # an unreachable broker is no stall of this process

    def _look_for_topic(self, consumer: Consumer) -> None:
        """Log once that the topic is missing; when it exists again, end, so that the next process subscribes anew."""
        missing = self._topic not in consumer.list_topics(timeout=_KAFKA_SECONDS).topics
        if missing and not self._missing:
            log.error("topic missing", topic=self._topic)
        elif self._missing and not missing:
            log.info("topic found", topic=self._topic)
            self._leave(STOOD_STILL)
        self._missing = missing

    def _lag(self, consumer: Consumer, partitions: list[int]) -> int:
        if not partitions:
            return 0
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        lag = 0
        for place in consumer.committed(places, timeout=_KAFKA_SECONDS):
            low, high = consumer.get_watermark_offsets(place, timeout=_KAFKA_SECONDS)
            lag += high - (low if place.offset == OFFSET_INVALID else max(place.offset, low))
        return lag
