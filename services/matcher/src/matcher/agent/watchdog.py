"""Ends an agent that stands still: one chunk takes too long, or work waits on its partitions and nothing is done.

Seen in trials: a stream can stop silently while its heartbeats go on. The sign is the process's own (time since
the last chunk), because one partition may rightly wait while another is worked on.
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
    """Told of every chunk's begin and end; looks from a thread of its own. `leave` is for tests."""

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
        """A chunk is being worked on."""
        self._began = self._clock()

    def done(self) -> None:
        """A chunk was finished, or there is a good reason that none is."""
        self._began = None
        self._last = self._clock()

    def start(self, group: str, partitions: Callable[[], Iterable[int]]) -> None:
        """Watch until the process ends. `partitions`: those of the topic that this process owns now."""
        threading.Thread(target=self._run, args=(group, partitions), name="watchdog", daemon=True).start()

    def look(self, lag: Callable[[], int]) -> None:
        """One look; `lag` is asked only after a silence.

        Raises:
            KafkaException: from `lag`.
        """
        now = self._clock()
        if self._began is not None:
            if now - self._began > self._chunk_seconds:
                log.error("a chunk takes too long", seconds=round(now - self._began))
                self._leave(STOOD_STILL)
        elif now - self._last > self._idle_seconds:
            waiting = lag()
            if waiting > 0 and self._began is None and self._clock() - self._last > self._idle_seconds:
                log.error("work waits and nothing is done", messages=waiting, seconds=round(now - self._last))
                self._leave(STOOD_STILL)
            elif waiting == 0:
                self._last = now

    def _run(self, group: str, partitions: Callable[[], Iterable[int]]) -> None:
        # It never joins the group; it only asks what the group has committed.
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
                consumer.poll(0)  # the connection's errors are logged from here
                log.warning("lag unknown", reason=error.args[0].str())
                self.done()  # a broker that is away is no fault of this process

    def _look_for_topic(self, consumer: Consumer) -> None:
        """Say once that the topic is missing; when it is there again, end: another process begins with it anew."""
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
