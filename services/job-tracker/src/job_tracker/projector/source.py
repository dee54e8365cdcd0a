"""The Kafka source of a projector: one consumer, owned by one thread, whose positions come from PostgreSQL."""

import time
from collections.abc import Callable

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from job_tracker.log import records
from job_tracker.log.messages import reading, to_record
from job_tracker.log.records import EmptyRange, Positions, Record
from job_tracker.store.positions import PositionStore
from job_tracker.store.status import Status
from service_kit.kafka import MonitoredConsumer
from service_kit.kafka_diagnosis import UNREACHABLE, ConnectionErrors
from service_kit.kafka_security import Kafka

log = structlog.get_logger()
_REPORT_EVERY = 1.0  # seconds between two commits to Kafka
_CHECK_EVERY = 2.0  # seconds between two checks of stopped partitions

_END = KafkaError._PARTITION_EOF  # pyright: ignore[reportPrivateUsage]
_UNKNOWN = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # pyright: ignore[reportPrivateUsage]
    KafkaError._UNKNOWN_PARTITION,  # pyright: ignore[reportPrivateUsage]
}
_GONE = {
    KafkaError._AUTO_OFFSET_RESET,  # pyright: ignore[reportPrivateUsage]
    KafkaError.OFFSET_OUT_OF_RANGE,
}


class KafkaSource:
    """Reads records in order from the positions that `store` gives on assignment.

    `begins` says where the next batch of each assigned partition begins: assignment puts partitions in,
    revocation takes them out, sealing a batch moves them. `flush_before_revoke` is called before a partition is
    revoked; `left` names the revoked ones until the reader has dropped what it read of them. Once `is_stalled`, no more
    records come, and another source must replace this one.

    A partition whose position the log no longer holds is stopped: it stays assigned, and is not read. When it can be
    read again, another source must replace this one; likewise when the group assigns a recreated topic, from which
    librdkafka (2.16) may never fetch.
    """

    def __init__(
        self,
        *,
        kafka: Kafka,
        group: str,
        topics: list[str],
        instance: str,
        store: PositionStore,
        status: Status,
        flush_before_revoke: Callable[[], None],
        failpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._status = status
        self._flush_before_revoke = flush_before_revoke
        self._failpoint = failpoint
        self.begins: Positions = {}
        self.left: set[records.TopicPartition] = set()
        self.is_stalled = False
        self._read: Positions = {}
        self._empty: list[EmptyRange] = []  # passed, and not taken yet
        # Pairs of a record's expected and its true offset, as they were seen at a first look; while that look lasts,
        # the next offset of the partition in it.
        self._holes: dict[records.TopicPartition, set[tuple[int, int]]] = {}
        self._doubted: Positions = {}
        self._stopped: dict[records.TopicPartition, str] = {}
        self._next_check = 0.0
        self._outlived = False  # a topic was recreated during the life of this source, and was assigned to it
        self._seen: object = None
        self._broken: Exception | None = None
        self._reported: Positions = {}
        self._next_report = 0.0
        self._consumer = MonitoredConsumer(
            reading(kafka, group)
            | {
                "enable.partition.eof": True,
                "client.id": instance,
                "group.protocol": "consumer",
                "error_cb": ConnectionErrors(kafka, self._on_error),
            }
        )
        self._leaving = False
        status.record_stopped({})
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def poll(self, most: int, timeout: float) -> list[Record]:
        """Up to `most` records, in order within each partition; waits `timeout` seconds for the first.

        Raises:
            Stopping: the process is asked to end while a server is away.
            KafkaException: the broker refuses for a reason that does not pass.
        """
        self._check_topics()
        first = self._consumer.poll(timeout)
        if self._broken is not None:
            raise self._broken
        heard = first is not None and first.error() is None
        self.is_stalled = self._outlived or self._consumer.is_stalled(received=heard) or self._can_read_again()
        if first is None:
            return []
        messages = [first]
        if most > 1:
            messages += self._consumer.consume(most - 1, 0)
        if self._broken is not None:
            raise self._broken
        self._doubted.clear()
        accept = self._accept
        records = [record for message in messages if (record := accept(message)) is not None]
        if records:
            self._status.record_present("Kafka")
        return records

    def take_empty(self) -> list[EmptyRange]:
        """The offsets without a record that the last `poll` passed; they belong into the batch of its records."""
        empty, self._empty = self._empty, []
        return empty

    def rewind(self, partitions: set[records.TopicPartition]) -> None:
        """Seek to where another owner has moved these partitions, as far as they are still assigned and read."""
        self._stop_unusable()
        mine = sorted(partition for partition in partitions if partition in self.begins)
        if not mine:
            return
        for partition, position in self._store.reread(mine).items():
            self.begins[partition] = position
            self._seek(partition, position)

    def report(self, at_once: bool = False) -> None:
        """Commit the positions of written batches to Kafka, once a second at most: only lag tools read them."""
        now = time.monotonic()
        if self.begins == self._reported or (now < self._next_report and not at_once):
            return
        self._next_report = now + _REPORT_EVERY
        self._reported = dict(self.begins)
        offsets = [TopicPartition(topic, n, offset) for (topic, n), offset in self.begins.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.info("offset commit for lag tools failed", reason=str(error))

    def close(self) -> None:
        """Write what was read, and leave the group."""
        self._flush()
        self._leaving = True
        self._consumer.leave()

    def _accept(self, message: Message) -> Record | None:
        error = message.error()
        at_end = error is not None and error.code() == _END
        if error is not None and not at_end:
            self._on_record_error(error, message)
            return None
        topic, number, offset = message.topic(), message.partition(), message.offset()
        if topic is None or number is None or offset is None:
            raise KafkaException("a message without a position")
        partition, following = (topic, number), offset if at_end else offset + 1
        expected = self._read.get(partition)
        if offset != expected and not self._belongs(partition, offset, expected, following):
            return None
        self._read[partition] = following
        return None if at_end else to_record(message, topic, number, offset)

    def _belongs(self, partition: records.TopicPartition, offset: int, expected: int | None, following: int) -> bool:
        """Whether a record, or an end of the partition, at another than the expected offset is accepted.

        It comes from an older fetch, or it follows a gap without records (a transaction marker). A second read from the
        expected offset decides: only a true gap appears twice. What was fetched together with it is dropped until then.
        """
        if expected is None or offset < expected:
            return False  # below the position, or of a partition that was revoked in the meantime
        seen = self._doubted.get(partition)
        if seen is None:
            if (expected, offset) in self._holes.get(partition, ()):
                self._empty.append(EmptyRange(partition, expected, offset))
                return True
            self._seek(partition, expected)
            self._holes[partition] = {(expected, offset)}
        elif offset != seen:
            self._holes[partition].add((seen, offset))
        self._doubted[partition] = following
        return False

    def _on_record_error(self, error: KafkaError, message: Message) -> None:
        if error.code() in _GONE:
            partition = (message.topic() or "", message.partition() or 0)
            if partition in self.begins:
                looked = self._store.look([partition])
                self._stop(looked.refused or {partition: f"the log does not hold the position: {error.str()}"})
            return
        if error.fatal():
            raise KafkaException(error)
        if error.code() not in _UNKNOWN:  # the heartbeat reports missing topics
            log.warning("Kafka error", reason=error.str())

    def _check_topics(self) -> None:
        """Stop partitions of topics that are not, or no longer, those that are read, as the heartbeat has found.

        An idle topic is checked here only, since it has no batches.
        """
        seen = self._status.seen
        if seen is not self._seen:
            self._seen = seen
            self._store.compare({topic: one.topic_id for topic, one in seen.items()}, self._status.missing)
        self._stop_unusable()

    def _stop_unusable(self) -> None:
        unusable = self._store.unusable
        if unusable:
            self._stop({p: unusable[p[0]] for p in self.begins if p[0] in unusable})

    def _stop(self, reasons: dict[records.TopicPartition, str]) -> None:
        """Stop reading these partitions, and drop what was read of them and is not written."""
        if not reasons:
            return
        for partition in reasons:
            self._forget(partition)
        self.left |= reasons.keys()
        self._stopped |= reasons
        self._next_check = time.monotonic() + _CHECK_EVERY
        self._status.record_stopped(self._stopped)
        try:
            self._consumer.pause([TopicPartition(*partition) for partition in reasons])
        except KafkaException as error:  # the topic was deleted; none of its records is accepted any more
            log.info("Kafka error", reason=str(error))

    def _can_read_again(self) -> bool:
        """Whether a stopped partition can be read again; checked every _CHECK_EVERY seconds."""
        if not self._stopped or time.monotonic() < self._next_check:
            return False
        self._next_check = time.monotonic() + _CHECK_EVERY
        looked = self._store.look(sorted(self._stopped))
        if looked.positions:
            log.info("partitions readable again", partitions=sorted(f"{topic}[{n}]" for topic, n in looked.positions))
            return True
        self._stopped |= looked.refused
        self._status.record_stopped(self._stopped)
        return False

    def _forget(self, partition: records.TopicPartition) -> None:
        self.begins.pop(partition, None)
        self._read.pop(partition, None)
        self._holes.pop(partition, None)
        self._empty = [one for one in self._empty if one.partition != partition]

    def _seek(self, partition: records.TopicPartition, position: int) -> None:
        self._read[partition] = position
        self._holes.pop(partition, None)
        self._consumer.seek(TopicPartition(*partition, position))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._leaving:
            return
        self._failpoint("in_rebalance")
        try:
            taken = self._store.take([(p.topic, p.partition) for p in partitions])
        except Exception as error:
            self._broken = error
            return
        self._outlived |= taken.recreated
        self.begins.update(taken.positions)
        self._read.update(taken.positions)
        self._reported = {}
        places = taken.positions | dict.fromkeys(taken.refused, OFFSET_END)
        consumer.incremental_assign([TopicPartition(*partition, offset) for partition, offset in places.items()])
        held = {f"{topic}[{n}]": offset for (topic, n), offset in sorted(taken.positions.items())}
        log.info("assigned", positions=held)
        self._stop(taken.refused)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._failpoint("in_rebalance")
        if not self._leaving:
            self._flush()
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            self.left.add((p.topic, p.partition))
            self._forget((p.topic, p.partition))
            self._stopped.pop((p.topic, p.partition), None)
        self._status.record_stopped(self._stopped)
        consumer.incremental_unassign(partitions)
        log.info("revoked", partitions=sorted(f"{p.topic}[{p.partition}]" for p in partitions))

    def _flush(self) -> None:
        try:
            self._flush_before_revoke()
        except Exception as error:
            self._broken = error

    def _on_error(self, error: KafkaError, reason: str) -> None:
        if self._leaving:
            return
        if error.code() in UNREACHABLE:
            self._status.record_away("Kafka", reason)
        else:
            log.warning("Kafka error", reason=reason)
