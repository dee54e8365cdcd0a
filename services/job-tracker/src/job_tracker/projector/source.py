"""The Kafka side: one consumer, owned by one thread, whose positions come from PostgreSQL."""

import time
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from job_events.kafka import Listener
from job_events.kafka_diagnosis import UNREACHABLE, ConnectionErrors
from job_events.kafka_security import Kafka
from job_tracker.projector import records
from job_tracker.projector.messages import reading, to_record
from job_tracker.projector.positions import LogBroken, PositionStore
from job_tracker.projector.records import Positions, Record
from job_tracker.projector.status import Status

log = structlog.get_logger()
_REPORT_EVERY = 1.0  # seconds between two commits to Kafka

_GONE = {
    KafkaError._AUTO_OFFSET_RESET,  # pyright: ignore[reportPrivateUsage]
    KafkaError.OFFSET_OUT_OF_RANGE,
}


class KafkaSource:
    """Reads records in order from the positions that `store` gives on assignment.

    `begins` says where the next batch of each assigned partition begins: assignment puts partitions in,
    revocation takes them out, sealing a batch moves them. `hand_on` is called before a partition leaves;
    `left` names those that did, until the reader has let go of what it read of them. Once it is `deaf`, nothing
    comes any more, and another source must take its place.
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
        hand_on: Callable[[], None],
        at: Callable[[str], None],
    ) -> None:
        self._store = store
        self._status = status
        self._hand_on = hand_on
        self._at = at
        self.begins: Positions = {}
        self.left: set[records.TopicPartition] = set()
        self.deaf = False
        self._read: Positions = {}
        # Pairs of a record's expected and its true offset, as they were seen at a first look; while that look lasts,
        # the next offset of the partition in it.
        self._holes: dict[records.TopicPartition, set[tuple[int, int]]] = {}
        self._doubted: Positions = {}
        self._broken: Exception | None = None
        self._reported: Positions = {}
        self._next_report = 0.0
        self._consumer = Listener(
            reading(kafka, group)
            | {"client.id": instance, "group.protocol": "consumer", "error_cb": ConnectionErrors(kafka, self._on_error)}
        )
        self._leaving = False
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def poll(self, most: int, timeout: float) -> list[Record]:
        """Up to `most` records, in order within each partition; waits `timeout` seconds for the first.

        Raises:
            LogBroken: the log does not hold what the position points at.
            Stopped: the process shall end while a server is away.
            KafkaException: the broker refuses for a reason that waiting does not mend.
        """
        first = self._consumer.poll(timeout)
        if self._broken is not None:
            raise self._broken
        self.deaf = self._consumer.deaf(heard=first is not None and first.error() is None)
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
            self._status.present("Kafka")
        return records

    def rewind(self, partitions: set[records.TopicPartition]) -> None:
        """Take these partitions up again where another owner left them, as far as they are still assigned."""
        mine = sorted(partition for partition in partitions if partition in self.begins)
        if not mine:
            return
        for partition, position in self._store.reread(mine).items():
            self.begins[partition] = position
            self._seek(partition, position)

    def report(self, at_once: bool = False) -> None:
        """Commit to Kafka where the written batches end, once a second at most: only lag tools read it."""
        now = time.monotonic()
        if self.begins == self._reported or (now < self._next_report and not at_once):
            return
        self._next_report = now + _REPORT_EVERY
        self._reported = dict(self.begins)
        offsets = [TopicPartition(topic, n, offset) for (topic, n), offset in self.begins.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.info("Kafka did not take the positions for its lag tools", reason=str(error))

    def close(self) -> None:
        """Hand on what was read, and leave the group."""
        self._let_go()
        self._leaving = True
        self._consumer.leave()

    def _accept(self, message: Message) -> Record | None:
        error = message.error()
        if error is not None:
            self._judge(error)
            return None
        topic, number, offset = message.topic(), message.partition(), message.offset()
        if topic is None or number is None or offset is None:
            raise KafkaException("a message without a position")
        partition = (topic, number)
        expected = self._read.get(partition)
        if offset != expected and not self._belongs(partition, offset, expected):
            return None
        self._read[partition] = offset + 1
        return to_record(message, topic, number, offset)

    def _belongs(self, partition: records.TopicPartition, offset: int, expected: int | None) -> bool:
        """Whether a record that is not the expected one is to be taken all the same.

        It is either one of an older fetch, or it stands behind a true hole (a transaction marker). Looking again from
        the expected offset tells: only true holes show twice. What was fetched together with it is let go until then.
        """
        if expected is None or offset < expected:
            return False  # below the held position, or of a partition that was taken away meanwhile
        seen = self._doubted.get(partition)
        if seen is None:
            if (expected, offset) in self._holes.get(partition, ()):
                return True
            self._seek(partition, expected)
            self._holes[partition] = {(expected, offset)}
        elif offset != seen:
            self._holes[partition].add((seen, offset))
        self._doubted[partition] = offset + 1
        return False

    def _judge(self, error: KafkaError) -> None:
        if error.code() in _GONE:
            raise LogBroken(f"the log does not hold the stored position: {error.str()}")
        if error.fatal():
            raise KafkaException(error)
        log.warning("Kafka", reason=error.str())

    def _seek(self, partition: records.TopicPartition, position: int) -> None:
        self._read[partition] = position
        self._holes.pop(partition, None)
        self._consumer.seek(TopicPartition(*partition, position))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._leaving:
            return
        self._at("in_rebalance")
        try:
            taken = self._store.take([(p.topic, p.partition) for p in partitions])
        except Exception as error:
            self._broken = error
            return
        self.begins.update(taken)
        self._read.update(taken)
        self._reported = {}
        consumer.incremental_assign([TopicPartition(*partition, offset) for partition, offset in taken.items()])
        log.info("assigned", positions={f"{topic}[{n}]": offset for (topic, n), offset in sorted(taken.items())})

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._at("in_rebalance")
        if not self._leaving:
            self._let_go()
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            self.left.add((p.topic, p.partition))
            self.begins.pop((p.topic, p.partition), None)
            self._read.pop((p.topic, p.partition), None)
            self._holes.pop((p.topic, p.partition), None)
        consumer.incremental_unassign(partitions)
        log.info("revoked", partitions=sorted(f"{p.topic}[{p.partition}]" for p in partitions))

    def _let_go(self) -> None:
        try:
            self._hand_on()
        except Exception as error:
            self._broken = error

    def _on_error(self, error: KafkaError, reason: str) -> None:
        if self._leaving:
            return
        if error.code() in UNREACHABLE:
            self._status.away("Kafka", reason)
        else:
            log.warning("Kafka", reason=reason)
