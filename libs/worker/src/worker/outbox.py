"""Sends the outbox to Kafka and forgets a row once the broker has acknowledged it.

A crash between the two sends a row again; every reader takes events in any order and number. A row that Kafka never
takes becomes a dead letter; if it is the end of a job, a shorter end takes its place. A topic that takes nothing, such
as a missing one, holds up its own rows only.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from msgspec.structs import replace
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.envelope import HEADERS, decode, encode_own
from job_events.errors import InvalidEvent
from job_events.events import AnyEvent, ErrorInfo, Finished, Requested
from job_events.topics import Topics
from service_kit.database import is_away, is_transient
from service_kit.kafka import ReconnectingProducer
from worker.dead_letters import DeadLetterSource, put_dead_letter
from worker.ends import ended_unrun, shortened
from worker.inbox import SQL, put_event

log = structlog.get_logger(__name__)
BATCH = 500
IDLE_SECONDS = 1.0  # another process may have left rows behind
BLOCKED_SECONDS = 30.0  # that a topic rests which took nothing while another did
_ASIDE_SECONDS = 2.0  # and one that took nothing while no other was tried

# What no repeat changes: the row is too large, malformed, or for a topic whose name is none.
_NEVER = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._INVALID_ARG,  # pyright: ignore[reportPrivateUsage]
    }
)


class _Row(NamedTuple):
    id: int
    topic: str
    key: str | None
    value: str


@dataclass
class _DeliveryReports:
    """What became of the rows of a batch."""

    delivered: list[int] = field(default_factory=list)
    refused: list[tuple[_Row, str]] = field(default_factory=list)
    failed: dict[str, KafkaException] = field(default_factory=dict)
    took: set[str] = field(default_factory=set)
    full: BufferError | None = None

    def report(self, row: _Row, error: KafkaError | None) -> None:
        if error is None:
            self.delivered.append(row.id)
            self.took.add(row.topic)
        elif error.code() in _NEVER:
            self.refused.append((row, error.str()))
        else:
            self.failed[row.topic] = KafkaException(error)


class OutboxSender:
    """Drains the outbox of one service. Several processes may: each row is locked by the one that sends it.

    `topics`: where dead letters of rows go that Kafka never takes; without it they stay in the table alone.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        producer: ReconnectingProducer,
        flush_seconds: float = 15,
        *,
        topics: Topics | None = None,
        service: str = "outbox",
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._flush_seconds = flush_seconds
        self._topics = topics
        self._service = service
        self._wake = threading.Event()
        self._blocked: dict[str, float] = {}

    def poke(self) -> None:
        """There is something to send."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`, then once more what is left."""
        while not stop.is_set():
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            self.drain()
        self.drain()

    def drain(self) -> None:
        """Send all there is; leaves the rest for later when Kafka or PostgreSQL does not answer."""
        try:
            while self.send_batch():
                pass
        except (psycopg.Error, KafkaException, BufferError) as error:
            if isinstance(error, psycopg.Error) and not (is_away(error) or is_transient(error)):
                raise
            log.warning("outbox waits", reason=str(error).strip())

    def send_batch(self) -> bool:
        """Send up to BATCH rows; True if there may be more.

        Raises:
            KafkaException, BufferError: not every row was acknowledged; those stay for the next time.
        """
        now = time.monotonic()
        self._blocked = {topic: until for topic, until in self._blocked.items() if until > now}
        with self._pool.connection() as conn:
            values = {"limit": BATCH, "blocked": list(self._blocked)}
            rows = [_Row(*row) for row in conn.execute(SQL["take_outbox"], values)]
            fates = self._send(rows)
            conn.execute(SQL["drop_outbox"], {"ids": fates.delivered})
            for row, reason in fates.refused:
                self._refuse(conn, row, reason)
        if fates.full is not None:
            raise fates.full
        if fates.failed:
            self._block(fates)
            raise next(iter(fates.failed.values()))
        return len(rows) == BATCH or bool(fates.refused)

    def _send(self, rows: list[_Row]) -> _DeliveryReports:
        fates = _DeliveryReports()
        for row in rows:

            def report(error: KafkaError | None, _message: Message | None, row: _Row = row) -> None:
                fates.report(row, error)

            try:
                # The dead letter of a message without a key has none either.
                key: Any = row.key
                self._producer.produce(row.topic, row.value.encode(), key, on_delivery=report, headers=HEADERS)
            except KafkaException as error:  # librdkafka itself looks at the size first
                report(error.args[0], None)
            except BufferError as error:
                fates.full = error
                break
        self._producer.flush(self._flush_seconds)
        return fates

    def _block(self, fates: _DeliveryReports) -> None:
        """Let the other topics' rows go first."""
        alone = bool(fates.took - fates.failed.keys())
        until = time.monotonic() + (BLOCKED_SECONDS if alone else _ASIDE_SECONDS)
        for topic, error in fates.failed.items():
            self._blocked[topic] = until
            if alone:
                log.error("topic takes no message; its rows wait", topic=topic, reason=str(error))
        self._wake.set()

    def _refuse(self, conn: Connection, row: _Row, reason: str) -> None:
        """Kafka never takes this row."""
        log.error("Kafka never takes a row of the outbox", row=row.id, topic=row.topic, reason=reason)
        event = _event(row.value)
        self._bury(conn, row, reason, event)
        shorter = _shorter(event, len(row.value.encode()))
        if shorter is None:
            conn.execute(SQL["set_aside"], {"id": row.id, "reason": reason})
        else:
            conn.execute(SQL["replace_outbox"], {"id": row.id, "value": encode_own(shorter).decode()})
        if isinstance(event, Requested) and self._topics is not None:
            # Nobody else will ever know of the job.
            put_event(conn, self._topics.events, event.job_id, _unrequested(event, self._service, reason))

    def _bury(self, conn: Connection, row: _Row, reason: str, event: AnyEvent | None) -> None:
        if self._topics is None or row.topic == self._topics.dead_letters:
            return
        put_dead_letter(
            conn,
            self._topics,
            place=DeadLetterSource(f"outbox.{self._service}", 0, row.id),
            key=None if row.key is None else row.key.encode(),
            value=row.value.encode(),
            consumer=self._service,
            source=f"jobtrail/{self._service}/outbox",
            time=datetime.now(UTC),
            reason=f"never sent to {row.topic}: {reason}",
            job_id=event.job_id if event is not None else None,
        )


def _event(value: str) -> AnyEvent | None:
    try:
        return decode(value.encode())
    except InvalidEvent:
        return None


def _shorter(event: AnyEvent | None, size: int) -> Finished | None:
    """What is sent instead, so that a job whose end is too large does not run for ever in the table."""
    if not isinstance(event, Finished):
        return None
    shorter = shortened(event, size)
    return shorter if len(encode_own(shorter)) < size else None


def _unrequested(event: Requested, service: str, reason: str) -> Finished:
    error = ErrorInfo("INTERNAL", "EVENT_TOO_LARGE", f"the request of this job cannot be sent: {reason}"[:4096])
    source = f"jobtrail/{service}/outbox"
    ended = ended_unrun(event, event.data.job, source=source, time=event.time, outcome="error", error=error)
    return replace(ended, data=replace(ended.data, then=()))
