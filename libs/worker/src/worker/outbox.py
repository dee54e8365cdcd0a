"""Sends the outbox to Kafka and deletes a row once the broker has acknowledged it.

A crash between the two sends a row again; every reader accepts events in any order and number. A row that Kafka always
refuses becomes a dead letter; if it is the end of a job, a shorter event replaces it. A topic that accepts nothing,
such as a missing one, delays only its own rows.
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
from worker.ends import finished_unstarted, shortened
from worker.inbox import SQL, put_event

log = structlog.get_logger(__name__)
BATCH = 500
IDLE_SECONDS = 1.0  # between two looks: another process may have left rows
BLOCKED_SECONDS = 30.0  # without tries for a topic that refused a message while another topic accepted one
_PAUSED_SECONDS = 2.0  # and for one that refused a message while no other topic was tried

# Errors that a retry does not change: the row is too large or malformed, or the topic name is invalid.
_PERMANENT = frozenset(
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
    """The delivery reports of a batch of rows."""

    delivered: list[int] = field(default_factory=list)
    refused: list[tuple[_Row, str]] = field(default_factory=list)
    failed: dict[str, KafkaException] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    full: BufferError | None = None

    def report(self, row: _Row, error: KafkaError | None) -> None:
        if error is None:
            self.delivered.append(row.id)
            self.accepted.add(row.topic)
        elif error.code() in _PERMANENT:
            self.refused.append((row, error.str()))
        else:
            self.failed[row.topic] = KafkaException(error)


class OutboxSender:
    """Sends the outbox of one service. Several processes may run one: each row is locked by the process that sends it.

    `topics`: the topics for the dead letters of refused rows; without it refused rows only stay in the table.
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

    def notify(self) -> None:
        """Wake the sender: there are new rows."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`, then the rest."""
        while not stop.is_set():
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            self.drain()
        self.drain()

    def drain(self) -> None:
        """Send all rows; the rest stays for the next time when Kafka or PostgreSQL does not answer."""
        try:
            while self.send_batch():
                pass
        except (psycopg.Error, KafkaException, BufferError) as error:
            if isinstance(error, psycopg.Error) and not (is_away(error) or is_transient(error)):
                raise
            log.warning("outbox not sent", reason=str(error).strip())

    def send_batch(self) -> bool:
        """Send up to BATCH rows; True if there may be more.

        Raises:
            KafkaException, BufferError: a row was not acknowledged; it stays for the next time.
        """
        now = time.monotonic()
        self._blocked = {topic: until for topic, until in self._blocked.items() if until > now}
        with self._pool.connection() as conn:
            values = {"limit": BATCH, "blocked": list(self._blocked)}
            rows = [_Row(*row) for row in conn.execute(SQL["take_outbox"], values)]
            reports = self._send(rows)
            conn.execute(SQL["drop_outbox"], {"ids": reports.delivered})
            for row, reason in reports.refused:
                self._refuse(conn, row, reason)
        if reports.full is not None:
            raise reports.full
        if reports.failed:
            self._block(reports)
            raise next(iter(reports.failed.values()))
        return len(rows) == BATCH or bool(reports.refused)

    def _send(self, rows: list[_Row]) -> _DeliveryReports:
        reports = _DeliveryReports()
        for row in rows:

            def report(error: KafkaError | None, _message: Message | None, row: _Row = row) -> None:
                reports.report(row, error)

            try:
                # The dead letter of a message without a key has no key.
                key: Any = row.key
                self._producer.produce(row.topic, row.value.encode(), key, on_delivery=report, headers=HEADERS)
            except KafkaException as error:  # librdkafka checks the size itself
                report(error.args[0], None)
            except BufferError as error:
                reports.full = error
                break
        self._producer.flush(self._flush_seconds)
        return reports

    def _block(self, reports: _DeliveryReports) -> None:
        """Skip the failed topics for some time, so that the rows of other topics are sent."""
        others_accept = bool(reports.accepted - reports.failed.keys())
        until = time.monotonic() + (BLOCKED_SECONDS if others_accept else _PAUSED_SECONDS)
        for topic, error in reports.failed.items():
            self._blocked[topic] = until
            if others_accept:
                log.error("topic accepts no message; its rows wait", topic=topic, reason=str(error))
        self._wake.set()

    def _refuse(self, conn: Connection, row: _Row, reason: str) -> None:
        """Set a row aside that Kafka always refuses, and replace the end of a job by a shorter one."""
        log.error("outbox row refused by Kafka", row=row.id, topic=row.topic, reason=reason)
        event = _event(row.value)
        self._insert_dead_letter(conn, row, reason, event)
        shorter = _shorter(event, len(row.value.encode()))
        if shorter is None:
            conn.execute(SQL["set_aside"], {"id": row.id, "reason": reason})
        else:
            conn.execute(SQL["replace_outbox"], {"id": row.id, "value": encode_own(shorter).decode()})
        if isinstance(event, Requested) and self._topics is not None:
            # No other service knows of the job, so it ends here.
            put_event(conn, self._topics.events, event.job_id, _finished_unsent(event, self._service, reason))

    def _insert_dead_letter(self, conn: Connection, row: _Row, reason: str, event: AnyEvent | None) -> None:
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
    """A shorter end of the job, so that a job whose end is too large does not stay running in the table."""
    if not isinstance(event, Finished):
        return None
    shorter = shortened(event, size)
    return shorter if len(encode_own(shorter)) < size else None


def _finished_unsent(event: Requested, service: str, reason: str) -> Finished:
    error = ErrorInfo("INTERNAL", "EVENT_TOO_LARGE", f"the request of this job cannot be sent: {reason}"[:4096])
    source = f"jobtrail/{service}/outbox"
    ended = finished_unstarted(event, event.data.job, source=source, time=event.time, outcome="error", error=error)
    return replace(ended, data=replace(ended.data, then=()))
