"""Metadata of topics from the broker: ids, partitions, first and next offsets."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import structlog
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import EarliestSpec, LatestSpec, OffsetSpec, TimestampSpec

from job_tracker.errors import BrokerAway
from job_tracker.log import records
from job_tracker.log.records import Span
from service_kit.kafka import TO_ALL_BROKERS
from service_kit.kafka_diagnosis import ConnectionErrors, refusal_of
from service_kit.kafka_security import ClientConfig, Kafka, connection_of

log = structlog.get_logger()
_PAUSE = 1.0  # seconds between two attempts
_LOOKS = 3  # for a topic
Answer = TypeVar("Answer")


def quiet(kafka: Kafka) -> ClientConfig:
    """Settings of every client here: reconnect soon; `Status` logs a lost broker, and librdkafka does not."""
    return connection_of(kafka).client_config() | {
        "log_level": 2,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "socket.timeout.ms": 10_000,
        "log.connection.close": False,
    }


class Broker:
    """Short requests to the cluster, each with a `timeout` in seconds.

    Offsets are requested up to `attempts` times: a new partition has no leader yet. Its topic may not be known to all
    brokers either; with several attempts it is requested three times. A client that failed is replaced: it might fail
    for ever (ADR 11).
    """

    def __init__(self, kafka: Kafka, timeout: float = 5.0, attempts: int = 1) -> None:
        self._attempts = attempts
        self._kafka = connection_of(kafka)
        self._settings = quiet(kafka) | TO_ALL_BROKERS
        self._errors = ConnectionErrors(kafka, _unreported)
        self._timeout = timeout
        self._client: AdminClient | None = None

    def topic_ids(self, topics: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Id and number of partitions by topic; a topic that does not exist is missing from the answer.

        Raises:
            BrokerAway
        """

        wanted = list(topics)

        def ask(client: AdminClient) -> dict[str, tuple[str, int]]:
            found: dict[str, tuple[str, int]] = {}
            futures = client.describe_topics(TopicCollection(wanted), request_timeout=self._timeout)
            for topic, future in futures.items():
                try:
                    description = future.result(self._timeout + 1)
                except KafkaException as error:
                    if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                        raise
                    continue
                found[topic] = (str(description.topic_id), len(description.partitions))
            return found

        found = self._answer(ask)
        for _ in range(min(self._attempts, _LOOKS) - 1):
            if len(found) == len(wanted):
                break
            time.sleep(_PAUSE)
            found = self._answer(ask)
        return found

    def recreated(self, topic_ids: Iterable[tuple[str, str]]) -> list[str]:
        """The topics of these pairs whose id is not, or no longer, that one.

        A client follows a recreated topic silently, so the ids must be compared.

        Raises:
            BrokerAway
        """
        wanted = set(topic_ids)
        now = self.topic_ids({topic for topic, _ in wanted})
        return [topic for topic, topic_id in sorted(wanted) if topic not in now or now[topic][0] != topic_id]

    def spans(
        self, partitions: Iterable[records.TopicPartition], *, stable: bool = False
    ) -> dict[records.TopicPartition, Span]:
        """First and next offset of each partition.

        `stable`: only as far as a consumer reads, which is to the first record of a transaction that is still open.

        Raises:
            BrokerAway
        """
        wanted = list(partitions)
        lows, highs = self._offsets(wanted, EarliestSpec()), self._offsets(wanted, LatestSpec(), stable=stable)
        return {partition: Span(lows[partition], highs[partition]) for partition in wanted}

    def ends(self, partitions: Iterable[records.TopicPartition]) -> dict[records.TopicPartition, int]:
        """The next offset of each partition.

        Raises:
            BrokerAway
        """
        return self._offsets(list(partitions), LatestSpec())

    def offsets_at(
        self, partitions: Iterable[records.TopicPartition], moment: datetime
    ) -> dict[records.TopicPartition, int | None]:
        """The offset of each partition's first record at or after `moment`; None where there is none.

        Raises:
            BrokerAway
        """
        found = self._offsets(list(partitions), TimestampSpec(round(moment.timestamp() * 1000)))
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def _offsets(
        self, partitions: list[records.TopicPartition], spec: OffsetSpec, *, stable: bool = False
    ) -> dict[records.TopicPartition, int]:
        wanted = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        isolation = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED

        def ask(client: AdminClient) -> dict[records.TopicPartition, int]:
            futures = client.list_offsets(wanted, isolation_level=isolation, request_timeout=self._timeout)
            found = {(tp.topic, tp.partition): f.result(self._timeout + 1).offset for tp, f in futures.items()}
            # While a leader is chosen there may be neither offset nor error. No record after a moment is an answer.
            if not isinstance(spec, TimestampSpec) and any(offset < 0 for offset in found.values()):
                raise TimeoutError("the broker gave no offset of a partition whose leader is being chosen")
            return found

        for _ in range(self._attempts - 1):
            try:
                return self._answer(ask)
            except BrokerAway:
                time.sleep(_PAUSE)
        return self._answer(ask)

    def _answer(self, ask: Callable[[AdminClient], Answer]) -> Answer:
        client = self._client
        if client is None:
            self._errors = ConnectionErrors(self._kafka, _unreported)
            self._settings["error_cb"] = self._errors
            client = self._client = AdminClient(self._settings)
        try:
            return ask(client)
        except (KafkaException, TimeoutError) as error:
            self._client = None
            client.poll(0)  # calls `_errors`
            refusal = self._errors.refusal or (refusal_of(self._kafka) if self._errors.last is not None else None)
            if refusal is not None:
                raise BrokerAway(refusal) from None
            reason = error.args[0].str() if isinstance(error, KafkaException) else str(error) or "no answer in time"
            raise BrokerAway(f"Kafka at {self._kafka}: {reason}") from None


def _unreported(_error: KafkaError, _reason: str) -> None:
    """The caller reports what could not be requested."""
