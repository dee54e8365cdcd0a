"""Kafka to rows: requests become inbox rows, control messages are applied, finished parents are noted.

1. Read a batch.
2. One transaction holds everything the batch causes: rows, notes, and outbox messages.
3. Commit it, then commit the offsets. After a crash between the two the batch is read again; every effect has a key, so
   that it happens once.
A message that PostgreSQL refuses, or that raises here, is found by processing the batch one by one. It becomes a dead
letter, and the job that it requests ends as an error. So no message can stop a service.
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

from job_events.chains import check_then
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
from job_events.job_types import JOB_TYPES, read_params, unknown_here
from job_events.topics import Topics
from service_kit.clock import Clock, backoff
from service_kit.database import is_away, is_transient, refuses_all_writes, sql_error_text
from service_kit.kafka import MonitoredConsumer
from worker import inbox
from worker.dead_letters import DeadLetterSource, put_dead_letter
from worker.ends import finished_unstarted
from worker.inbox import Unread
from worker.outbox import OutboxSender
from worker.retention import REACH
from worker.steps import ChainSteps

log = structlog.get_logger(__name__)
BATCH = 500
_RETRY_SECONDS, _LONGEST_RETRY = 0.2, 1.0  # first and longest pause between tries
_TRIES = 5  # of one message that PostgreSQL refuses for now
_KEPT_SECONDS = 10.0  # between two reads of kept chain steps: a process of an older version may have kept one meanwhile
_NO_SUCH_JOB = "this service holds no such job; ended by an operator"
_NEWER_REQUEST = re.compile(r"job\.requested\.v[0-9]{1,4}")


# The description of the job in a refused request. The rest is not decoded, because it may be malformed.
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
        self._next_resume = clock.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; while PostgreSQL is away the present batch waits and nothing is committed."""
        while not stop.is_set():
            consumer = self._open_consumer()
            try:
                consumer.subscribe([self._topics.requests(self._service), self._topics.events])
                self._read(consumer, stop)
            finally:
                consumer.leave()

    def _read(self, consumer: MonitoredConsumer, stop: threading.Event) -> None:
        """Read until `stop`, or until the consumer is stalled."""
        messages: list[Message] = []
        while not (stop.is_set() or consumer.is_stalled(received=bool(messages))):
            self._resume_kept_steps()
            messages = self._valid(consumer.consume(BATCH, timeout=0.2))
            while messages and not stop.is_set():
                try:
                    self._process(consumer, messages)
                    break
                except psycopg.Error as error:
                    if not (is_away(error) or is_transient(error)):
                        raise
                    log.warning("request consumer waits for PostgreSQL", reason=str(error).strip())
                    stop.wait(1)

    def _resume_kept_steps(self) -> None:
        if self._clock.monotonic() < self._next_resume:
            return
        try:
            with self._pool.connection() as conn:
                self._steps.resume(conn)
        except psycopg.Error as error:
            if not (is_away(error) or is_transient(error)):
                raise
            log.warning("kept chain steps not read", reason=sql_error_text(error))
        self._next_resume = self._clock.monotonic() + _KEPT_SECONDS
        self._outbox.notify()

    def _process(self, consumer: MonitoredConsumer, messages: list[Message]) -> None:
        self._store(messages)
        self._commit(consumer, messages)

    def _store(self, messages: list[Message]) -> None:
        try:
            with self._pool.connection() as conn:
                for message in messages:
                    self._handle(conn, message)
        except Exception as error:
            if is_away(error) or refuses_all_writes(error):
                raise
            for message in messages:
                self._store_alone(message)
        self._outbox.notify()
        self._on_rows()

    @staticmethod
    def _commit(consumer: MonitoredConsumer, messages: list[Message]) -> None:
        try:
            for message in messages:
                consumer.store_offsets(message=message)
            # Asynchronous: without a coordinator a synchronous commit may outlast the grace period of the process.
            consumer.commit(asynchronous=True)
        except KafkaException as error:
            log.warning("offsets not committed; the batch will be read again", reason=str(error))

    def _store_alone(self, message: Message) -> None:
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
                threading.Event().wait(backoff(tries, _RETRY_SECONDS, _LONGEST_RETRY))

    def _give_up(self, message: Message, error: Exception) -> None:
        """Write a dead letter; if the message requests a job, that job ends."""
        if isinstance(error, psycopg.Error):
            said, code = sql_error_text(error), error.sqlstate or "POSTGRESQL"
            reason = f"PostgreSQL refuses it: {said}"
        else:
            log.exception("message failed")
            code = type(error).__name__
            reason = f"{code} in the request consumer; its log has the details"
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
            log.warning("end of a refused request not stored", reason=sql_error_text(refused))

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
                pass  # only the tracker reads it
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
        """Why the request waits for another version; None where this version can run it.

        Raises:
            InvalidRequest: no version can run it.
        """
        job = event.data.job
        known = JOB_TYPES.get(job.type)
        if known is not None and known.service != self._service:
            raise InvalidRequest("type", f"{job.type} is run by {known.service}, not by {self._service}")
        reason = unknown_here(job.type, event.data.params)
        if reason is None:
            read_params(job.type, event.data.params)
        check_then(event.data.then, job.type, newer_allowed=True)
        if not (known is not None and known.any_account) and not self._known_account(event.tenant, job.account):
            raise InvalidRequest("account", f"tenant {event.tenant!r} has no account {job.account!r}")
        # By both times: a request that is produced again from the archive has a new append time.
        if self._clock.now() - min(_appended(message), event.time) > REACH:
            raise InvalidRequest("time", f"the request is older than {REACH.days} days and may be a repeat")
        return reason

    def _keep(self, conn: Connection, message: Message, event: Event, job: JobInfo, reason: str) -> None:
        log.warning("job waits for another version", job=event.job_id, type=job.type, reason=reason)
        inbox.insert_kept(conn, event, job, Unread(reason, self._version), message.value() or b"")

    def _control(self, conn: Connection, message: Message, event: Cancel | Pause | Resume) -> None:
        if event.data.target.kind != "job" or inbox.is_known(conn, event.job_id):
            inbox.apply_control(conn, event)
            return
        log.warning("control message for an unknown job", job=event.job_id, type=_type_of(event))
        if isinstance(event, Cancel):
            self._end_unknown(conn, event, _appended(message))

    def _end_unknown(self, conn: Connection, event: Cancel, appended: datetime) -> None:
        """End a job that is in no inbox, if the cancel message describes it, so that it does not stay open for ever.

        The event is that of attempt 0: an end of any real attempt replaces it in the job table.
        """
        # The operator also ends the steps that wait for the end of this job.
        inbox.drop_kept(conn, event.job_id)
        job = event.data.job
        if isinstance(job, UnsetType):
            return
        known = JOB_TYPES.get(job.type)
        if known is not None and known.service != self._service:
            log.warning("job belongs to another service", job=event.job_id, service=known.service)
            return
        error = ErrorInfo("CANCELLED", "UNKNOWN_TO_SERVICE", _NO_SUCH_JOB)
        ended = finished_unstarted(
            event, job, source=self._source, time=appended, outcome="cancelled", error=error, seq=1
        )
        if inbox.insert_ended(conn, ended, "cancelled"):
            inbox.put_event(conn, self._topics.events, event.job_id, ended)

    def _unreadable(self, conn: Connection, message: Message, error: InvalidEvent) -> None:
        """End the job of a request that cannot be read, or keep the request for another version."""
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
            # A message of any other type does not decide whether its job can run.
            if head.type is None or head.type == "job.requested.v1":
                self._end(conn, event, info, "failure", _invalid(error.reason))
        self._dead_letter(conn, message, error.reason)

    def _end(self, conn: Connection, event: Event, job: JobInfo, outcome: Outcome, error: ErrorInfo) -> None:
        now = self._clock.now()
        ended = finished_unstarted(event, job, source=self._source, time=now, outcome=outcome, error=error)
        if inbox.insert_ended(conn, ended, outcome):
            inbox.put_event(conn, self._topics.events, event.job_id, ended)

    def _dead_letter(self, conn: Connection, message: Message, reason: str) -> None:
        """Write one dead letter a record: the tracker reads these topics too, and stores what cannot be decoded."""
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

    def _valid(self, messages: list[Message]) -> list[Message]:
        valid: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                valid.append(message)
            elif error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # the consumer itself logs a missing topic once
                log.warning("consumer error", reason=str(error))
        return valid


def is_kept_as_event(value: bytes | None) -> bool:
    """Whether the tracker stores a record of these topics as an event; else it writes a dead letter itself."""
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
    """The append time: the broker sets the timestamps of these topics."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)


def _invalid(reason: str) -> ErrorInfo:
    return ErrorInfo("VALIDATION_FAILED", "INVALID_REQUEST", reason[:4096])


def _text(value: object, default: str) -> str:
    return value[:128] if isinstance(value, str) and value.strip() and "\0" not in value else default


def _type_of(event: Event) -> str:
    return str(type(event).__struct_config__.tag)
