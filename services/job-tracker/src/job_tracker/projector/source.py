"""The Kafka side: one consumer, owned by one thread, whose positions come from PostgreSQL."""

from datetime import UTC, datetime, timedelta

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from job_tracker.projector import records
from job_tracker.projector.broker import quiet
from job_tracker.projector.commit import Positions
from job_tracker.projector.positions import LogBroken, PositionStore
from job_tracker.projector.records import Record
from job_tracker.projector.status import Status

log = structlog.get_logger()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINGER = 0.005  # seconds that a begun batch waits for more

_AWAY = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE}  # pyright: ignore[reportPrivateUsage]
_GONE = {
    KafkaError._AUTO_OFFSET_RESET,  # pyright: ignore[reportPrivateUsage]
    KafkaError.OFFSET_OUT_OF_RANGE,
}


class KafkaSource:
    """Reads records in order from the positions that `store` gives on assignment.

    `held` is shared with the committer: assignment puts partitions in, revocation takes them out,
    commits move them.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        group: str,
        topics: list[str],
        instance: str,
        store: PositionStore,
        held: Positions,
        status: Status,
    ) -> None:
        self._store = store
        self._held = held
        self._status = status
        self._read: Positions = {}
        self._holes: set[tuple[records.TopicPartition, int]] = set()
        self._broken: Exception | None = None
        self._unreported = False
        self._consumer = Consumer(
            quiet(bootstrap_servers)
            | {
                "group.id": group,
                "client.id": instance,
                "group.protocol": "consumer",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # A position outside the log is an error to tell people of, never a reason to jump.
                "auto.offset.reset": "error",
                # librdkafka's defaults sit idle between fetches at high rates.
                "fetch.queue.backoff.ms": 5,
                "queued.min.messages": 1_000_000,
                "queued.max.messages.kbytes": 131_072,
                "error_cb": self._on_error,
            }
        )
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

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
        if first is None:
            if self._unreported:
                # Nothing to commit, so nothing has told the lag tools yet where this owner stands.
                self.report()
            return []
        messages = [first]
        if most > 1:
            messages += self._consumer.consume(most - 1, _LINGER)
        if self._broken is not None:
            raise self._broken
        return [record for message in messages if (record := self._accept(message)) is not None]

    def rewind(self, partitions: set[records.TopicPartition]) -> None:
        """Take these partitions up again where another owner left them, as far as they are still assigned."""
        mine = sorted(partition for partition in partitions if partition in self._held)
        if not mine:
            return
        for partition, position in self._store.reread(mine).items():
            self._held[partition] = position
            self._seek(partition, position)

    def report(self) -> None:
        """Commit to Kafka what is held, without waiting: only lag tools read it."""
        if not self._held:
            return
        self._unreported = False
        offsets = [TopicPartition(topic, n, offset) for (topic, n), offset in self._held.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.info("Kafka did not take the positions for its lag tools", reason=str(error))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

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
        if expected is None or offset < expected:
            return None  # below the held position, or of a partition that was taken away meanwhile
        if offset > expected and (partition, expected) not in self._holes:
            # Either records of an older fetch after a seek, or a true hole (a transaction marker). Looking
            # again from the expected offset tells: only a true hole shows twice.
            self._holes.add((partition, expected))
            self._seek(partition, expected)
            return None
        self._holes.discard((partition, expected))
        self._read[partition] = offset + 1
        self._status.present("Kafka")
        _, milliseconds = message.timestamp()
        return Record(
            topic,
            number,
            offset,
            _EPOCH + timedelta(milliseconds=max(milliseconds, 0)),
            _bytes(message.key()),
            _bytes(message.value()),
            tuple((name, _bytes(value)) for name, value in message.headers() or ()),
        )

    def _judge(self, error: KafkaError) -> None:
        if error.code() in _GONE:
            raise LogBroken(f"the log does not hold the stored position: {error.str()}")
        if error.fatal():
            raise KafkaException(error)
        log.warning("Kafka", reason=error.str())

    def _seek(self, partition: records.TopicPartition, position: int) -> None:
        self._read[partition] = position
        self._consumer.seek(TopicPartition(*partition, position))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            taken = self._store.take([(p.topic, p.partition) for p in partitions])
        except Exception as error:
            self._broken = error
            return
        self._held.update(taken)
        self._read.update(taken)
        self._unreported = True
        consumer.incremental_assign([TopicPartition(*partition, offset) for partition, offset in taken.items()])
        log.info("assigned", positions={f"{topic}[{n}]": offset for (topic, n), offset in sorted(taken.items())})

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            self._held.pop((p.topic, p.partition), None)
            self._read.pop((p.topic, p.partition), None)
        consumer.incremental_unassign(partitions)
        log.info("revoked", partitions=sorted(f"{p.topic}[{p.partition}]" for p in partitions))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _AWAY:
            self._status.away("Kafka", error.str())
        else:
            log.warning("Kafka", reason=error.str())


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
