"""Kafka to rows: requests into the inbox, control messages applied, finished parents noted, the rest dead-lettered.

1. Read a batch.
2. One transaction holds everything the batch causes: rows, notes, and outbox messages.
3. Commit it, then commit the offsets. A crash between the two reads the batch again, and every
   effect is keyed so that it happens once.
A message that PostgreSQL refuses, or that breaks the code here, is found by going through the batch one by one; it
becomes a dead letter, and the job that it requests ends as an error. So no message can stop a service.
A request that only a newer version can read is kept in the inbox until that version claims it.
"""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from msgspec import Raw, Struct, UnsetType
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.envelope import decode
from job_events.errors import InvalidEvent, InvalidRequest
from job_events.events import (
    EVENT_TYPES,
    Cancel,
    ErrorInfo,
    Event,
    Finished,
    ItemRecorded,
    JobInfo,
    Outcome,
    Pause,
    Requested,
    Resume,
)
from job_events.job_types import JOB_TYPES, check_then, read_params, unknown_here
from job_events.topics import Topics
from service_kit.clock import Clock
from service_kit.database import is_away, is_transient, refuses_all_writes, sql_error_text
from service_kit.kafka import MonitoredConsumer
from worker import inbox
from worker.dead_letters import DeadLetterSource, put_dead_letter
from worker.ends import ended_unrun
from worker.inbox import Unread
from worker.outbox import OutboxSender
from worker.retention import REACH
from worker.steps import ChainSteps

log = structlog.get_logger(__name__)
BATCH = 500
_RETRY_SECONDS = 0.2  # before the second try, then a multiple of it
_TRIES = 5  # of one message that PostgreSQL refuses for now
_KEPT_SECONDS = 10.0  # between two looks at kept chain steps: a process of an older version may have kept one just now
_NO_SUCH_JOB = "this service holds no such job; ended by an operator"
_NEWER_REQUEST = re.compile(r"job\.requested\.v[0-9]{1,4}")


# What a refused request says of its job. Nothing else is decoded, because nothing else need be fit for it.
class _Head(Struct):
    type: Any = None
    id: Any = None
    tenant: Any = None
    data: Raw = Raw()


class _Data(Struct):
    job: Raw = Raw()


class _Job(Struct):
    type: Any = None
    account: Any = None


Part = TypeVar("Part", _Head, _Data, _Job)


class RequestConsumer:
    """The only consumer of a service. `known_account(tenant, account)` says whether jobs may run for it."""

    def __init__(
        self,
        service: str,
        *,
        open_consumer: Callable[[], MonitoredConsumer],
        pool: ConnectionPool,
        topics: Topics,
        outbox: OutboxSender,
        known_account: Callable[[str, str], bool],
        clock: Clock,
        on_rows: Callable[[], None],
        version: str,
    ) -> None:
        self._service = service
        self._source = f"jobtrail/{service}/intake"
        self._open_consumer = open_consumer
        self._pool = pool
        self._topics = topics
        self._outbox = outbox
        self._known_account = known_account
        self._clock = clock
        self._on_rows = on_rows
        self._version = version
        self._steps = ChainSteps(service, self._source, topics)
        self._next_look = clock.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; while PostgreSQL is away the batch in hand waits and nothing is committed."""
        while not stop.is_set():
            consumer = self._open_consumer()
            try:
                consumer.subscribe([self._topics.requests(self._service), self._topics.events])
                self._read(consumer, stop)
            finally:
                consumer.leave()

    def _read(self, consumer: MonitoredConsumer, stop: threading.Event) -> None:
        """Until `stop`, or until the consumer is deaf."""
        messages: list[Message] = []
        while not (stop.is_set() or consumer.is_stalled(heard=bool(messages))):
            self._look_at_kept_steps()
            messages = self._good(consumer.consume(BATCH, timeout=0.2))
            while messages and not stop.is_set():
                try:
                    self._carry_out(consumer, messages)
                    break
                except psycopg.Error as error:
                    if not (is_away(error) or is_transient(error)):
                        raise
                    log.warning("intake waits for PostgreSQL", reason=str(error).strip())
                    stop.wait(1)

    def _look_at_kept_steps(self) -> None:
        if self._clock.monotonic() < self._next_look:
            return
        try:
            with self._pool.connection() as conn:
                self._steps.resume(conn)
        except psycopg.Error as error:
            if not (is_away(error) or is_transient(error)):
                raise
            log.warning("kept chain steps not read", reason=sql_error_text(error))
        self._next_look = self._clock.monotonic() + _KEPT_SECONDS
        self._outbox.poke()

    def _carry_out(self, consumer: MonitoredConsumer, messages: list[Message]) -> None:
        self._take(messages)
        self._commit(consumer, messages)

    def _take(self, messages: list[Message]) -> None:
        try:
            with self._pool.connection() as conn:
                for message in messages:
                    self._handle(conn, message)
        except Exception as error:
            if is_away(error) or refuses_all_writes(error):
                raise
            for message in messages:
                self._take_alone(message)
        self._outbox.poke()
        self._on_rows()

    @staticmethod
    def _commit(consumer: MonitoredConsumer, messages: list[Message]) -> None:
        try:
            for message in messages:
                consumer.store_offsets(message=message)
            # Nobody waits for it: without a coordinator that would last longer than a process has for its end.
            consumer.commit(asynchronous=True)
        except KafkaException as error:
            log.warning("offsets not committed; the batch will be read again", reason=str(error))

    def _take_alone(self, message: Message) -> None:
        tries = 0
        while True:
            tries += 1
            try:
                with self._pool.connection() as conn:
                    return self._handle(conn, message)
            except Exception as error:
                if is_away(error) or refuses_all_writes(error):
                    raise
                if not is_transient(error) or tries == _TRIES:
                    return self._give_up(message, error)
                log.warning("message is tried again", reason=str(error).strip(), tries=tries)
                threading.Event().wait(_RETRY_SECONDS * tries)

    def _give_up(self, message: Message, error: Exception) -> None:
        """Write the dead letter; where the message requested a job, that ends."""
        if isinstance(error, psycopg.Error):
            said, code = sql_error_text(error), error.sqlstate or "POSTGRESQL"
            reason = f"PostgreSQL refuses it: {said}"
        else:
            log.exception("the intake cannot take a message")
            code = type(error).__name__
            reason = f"{code} in the intake; its log has the details"
        with self._pool.connection() as conn:
            self._dead_letter(conn, message, reason)
        try:
            event = decode(message.value())
            if isinstance(event, Requested) and message.topic() != self._topics.events:
                with self._pool.connection() as conn:
                    cause = ErrorInfo("INTERNAL", code[:512], f"the request could not be stored: {reason}"[:4096])
                    self._end(conn, event, event.data.job, "error", cause)
        except InvalidEvent:
            pass
        except psycopg.Error as refused:
            if is_away(refused) or is_transient(refused):
                raise
            log.warning("the end of a refused request cannot be stored either", reason=sql_error_text(refused))

    def _handle(self, conn: Connection, message: Message) -> None:
        try:
            event = decode(message.value(), _appended(message))
        except InvalidEvent as error:
            self._unreadable(conn, message, error)
            return
        match event:
            case Requested() if message.topic() != self._topics.events:
                self._request(conn, message, event)
            case Cancel() | Pause() | Resume() if message.topic() != self._topics.events:
                self._control(conn, message, event)
            case Finished() if message.topic() == self._topics.events:
                self._steps.follow(conn, event, _appended(message))
            case _ if message.topic() == self._topics.events:
                pass  # the tracker's business
            case _:
                self._dead_letter(conn, message, f"a {_type_of(event)} does not belong on {message.topic()}")

    def _request(self, conn: Connection, message: Message, event: Requested) -> None:
        try:
            reason = self._check(message, event)
        except InvalidRequest as error:
            self._dead_letter(conn, message, str(error))
            self._end(conn, event, event.data.job, "failure", _invalid(str(error)))
            return
        if reason is None:
            inbox.insert_request(conn, event)
        else:
            self._keep(conn, message, event, event.data.job, reason)

    def _check(self, message: Message, event: Requested) -> str | None:
        """Why the request waits for another version, or None where this one can run it.

        Raises:
            InvalidRequest: no version shall run it.
        """
        job = event.data.job
        known = JOB_TYPES.get(job.type)
        if known is not None and known.service != self._service:
            raise InvalidRequest("type", f"{job.type} is run by {known.service}, not by {self._service}")
        reason = unknown_here(job.type, event.data.params)
        if reason is None:
            read_params(job.type, event.data.params)
        check_then(event.data.then, job.type, newer_allowed=True)
        if not self._known_account(event.tenant, job.account):
            raise InvalidRequest("account", f"tenant {event.tenant!r} has no account {job.account!r}")
        if self._clock.now() - _appended(message) > REACH:
            raise InvalidRequest("time", f"the request is older than {REACH.days} days and may be a repeat")
        return reason

    def _keep(self, conn: Connection, message: Message, event: Event, job: JobInfo, reason: str) -> None:
        log.warning("job waits for another version", job=event.job_id, type=job.type, reason=reason)
        inbox.insert_kept(conn, event, job, Unread(reason, self._version), message.value() or b"")

    def _control(self, conn: Connection, message: Message, event: Cancel | Pause | Resume) -> None:
        if event.data.target.kind != "job" or inbox.is_known(conn, event.job_id):
            inbox.apply_control(conn, event)
            return
        log.warning("control message names a job that is not held here", job=event.job_id, type=_type_of(event))
        if isinstance(event, Cancel):
            self._end_unknown(conn, event, _appended(message))

    def _end_unknown(self, conn: Connection, event: Cancel, appended: datetime) -> None:
        """End a job that no inbox holds, if the cancel describes it, so that nobody waits for it for ever.

        The end is that of attempt 0: a true end of the job, of any attempt, replaces it in the table.
        """
        # A step that waits for the end of this job is the operator's to end as well.
        inbox.drop_kept(conn, event.job_id)
        job = event.data.job
        if isinstance(job, UnsetType):
            return
        known = JOB_TYPES.get(job.type)
        if known is not None and known.service != self._service:
            log.warning("such jobs are held by another service", job=event.job_id, service=known.service)
            return
        error = ErrorInfo("CANCELLED", "UNKNOWN_TO_SERVICE", _NO_SUCH_JOB)
        ended = ended_unrun(event, job, source=self._source, time=appended, outcome="cancelled", error=error, seq=1)
        if inbox.insert_ended(conn, ended, "cancelled"):
            inbox.put_event(conn, self._topics.events, event.job_id, ended)

    def _unreadable(self, conn: Connection, message: Message, error: InvalidEvent) -> None:
        """A request that cannot be read still names its job: that job ends, visibly, or waits for another version."""
        job_id, value = error.job_id, message.value() or b""
        head = _read(value, _Head)
        described = _read(_read(head.data, _Data).job, _Job)
        info = JobInfo(_text(described.type, "unknown"), _text(described.account, "unknown"))
        newer = isinstance(head.type, str) and _NEWER_REQUEST.fullmatch(head.type) and head.type not in EVENT_TYPES
        if job_id is not None and message.topic() != self._topics.events:
            event = Event(
                specversion="1.0",
                id=_text(head.id, job_id),
                source=self._source,
                job_id=job_id,
                time=self._clock.now(),
                tenant=_text(head.tenant, "unknown"),
                correlationid=job_id,
            )
            if newer:
                self._keep(conn, message, event, info, f"this version does not know the event type {head.type}")
                return
            # Any other message says nothing of whether its job can run.
            if head.type is None or head.type == "job.requested.v1":
                self._end(conn, event, info, "failure", _invalid(error.reason))
        self._dead_letter(conn, message, error.reason)

    def _end(self, conn: Connection, event: Event, job: JobInfo, outcome: Outcome, error: ErrorInfo) -> None:
        now = self._clock.now()
        ended = ended_unrun(event, job, source=self._source, time=now, outcome=outcome, error=error)
        if inbox.insert_ended(conn, ended, outcome):
            inbox.put_event(conn, self._topics.events, event.job_id, ended)

    def _dead_letter(self, conn: Connection, message: Message, reason: str) -> None:
        """One bad record is one dead letter: the tracker reads these topics too, and keeps what nobody can read."""
        if not is_kept_as_event(message.value()):
            log.warning("record refused", topic=message.topic(), offset=message.offset(), reason=reason[:200])
            return
        put_dead_letter(
            conn,
            self._topics,
            place=DeadLetterSource(message.topic() or "", message.partition() or 0, message.offset() or 0),
            key=message.key(),
            value=message.value(),
            consumer=self._service,
            source=self._source,
            time=self._clock.now(),
            reason=reason,
        )

    def _good(self, messages: list[Message]) -> list[Message]:
        good: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # the consumer itself says once which is missing
                log.warning("consumer error", reason=str(error))
        return good


def is_kept_as_event(value: bytes | None) -> bool:
    """Whether the tracker takes a record of a request or event topic; else it keeps a dead letter of its own."""
    try:
        return not isinstance(decode(value), ItemRecorded)
    except InvalidEvent:
        return False


def _read(value: bytes | Raw, kind: type[Part]) -> Part:
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return kind()


def _appended(message: Message) -> datetime:
    """When the broker took it: the topics' timestamps are its own."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)


def _invalid(reason: str) -> ErrorInfo:
    return ErrorInfo("VALIDATION_FAILED", "INVALID_REQUEST", reason[:4096])


def _text(value: object, default: str) -> str:
    return value[:128] if isinstance(value, str) and value.strip() and "\0" not in value else default


def _type_of(event: Event) -> str:
    return str(type(event).__struct_config__.tag)
