"""Kafka to rows: requests into the inbox, control messages obeyed, finished parents noted, the rest dead-lettered.

1. Read a batch.
2. One transaction holds everything the batch causes: rows, notes, and outbox messages.
3. Commit it, then commit the offsets. A crash between the two reads the batch again, and every
   effect is keyed so that it happens once.
A message that PostgreSQL refuses, or that breaks the code here, is found by going through the batch one by one; it
becomes a dead letter. So no message can stop a service.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import psycopg
import structlog
from confluent_kafka import KafkaException, Message
from msgspec import Raw, Struct
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.clock import Clock
from job_events.database import is_away
from job_events.envelope import decode
from job_events.errors import InvalidEvent, InvalidRequest
from job_events.events import (
    Cancel,
    Counters,
    ErrorInfo,
    Event,
    Finished,
    FinishedData,
    JobInfo,
    Pause,
    Requested,
    Resume,
    Then,
)
from job_events.job_types import JOB_TYPES, check_then, job_type, read_params
from job_events.kafka import Listener
from job_events.topics import Topics
from job_events.worker import inbox
from job_events.worker.chain import Parent, next_job
from job_events.worker.inbox import SQL
from job_events.worker.letters import Place, put_dead_letter
from job_events.worker.outbox import OutboxSender
from job_events.worker.retention import REACH

log = structlog.get_logger(__name__)
BATCH = 500


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


class Intake:
    """The only consumer of a service. `known_account(tenant, account)` says whether jobs may run for it."""

    def __init__(
        self,
        service: str,
        *,
        open_consumer: Callable[[], Listener],
        pool: ConnectionPool,
        topics: Topics,
        outbox: OutboxSender,
        known_account: Callable[[str, str], bool],
        clock: Clock,
        on_rows: Callable[[], None],
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

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; while PostgreSQL is away the batch in hand waits and nothing is committed."""
        while not stop.is_set():
            consumer = self._open_consumer()
            try:
                consumer.subscribe([self._topics.requests(self._service), self._topics.events])
                self._read(consumer, stop)
            finally:
                consumer.leave()

    def _read(self, consumer: Listener, stop: threading.Event) -> None:
        """Until `stop`, or until the consumer is deaf."""
        messages: list[Message] = []
        while not (stop.is_set() or consumer.deaf(heard=bool(messages))):
            messages = self._good(consumer.consume(BATCH, timeout=0.2))
            while messages and not stop.is_set():
                try:
                    self._carry_out(consumer, messages)
                    break
                except psycopg.Error as error:
                    if not is_away(error):
                        raise
                    log.warning("intake waits for PostgreSQL", reason=str(error).strip())
                    stop.wait(1)

    def _carry_out(self, consumer: Listener, messages: list[Message]) -> None:
        self._take(messages)
        self._commit(consumer, messages)

    def _take(self, messages: list[Message]) -> None:
        try:
            with self._pool.connection() as conn:
                for message in messages:
                    self._handle(conn, message)
        except Exception as error:
            if is_away(error):
                raise
            for message in messages:
                self._take_alone(message)
        self._outbox.poke()
        self._on_rows()

    @staticmethod
    def _commit(consumer: Listener, messages: list[Message]) -> None:
        try:
            for message in messages:
                consumer.store_offsets(message=message)
            # Nobody waits for it: without a coordinator that would last longer than a process has for its end.
            consumer.commit(asynchronous=True)
        except KafkaException as error:
            log.warning("offsets not committed; the batch will be read again", reason=str(error))

    def _take_alone(self, message: Message) -> None:
        try:
            with self._pool.connection() as conn:
                self._handle(conn, message)
        except Exception as error:
            if is_away(error):
                raise
            if isinstance(error, psycopg.Error):
                said, _, _ = str(error).partition("\n")
                reason = f"PostgreSQL refuses it: {said}"
            else:
                log.exception("the intake cannot take a message")
                reason = f"{type(error).__name__} in the intake; its log has the details"
            with self._pool.connection() as conn:
                self._dead_letter(conn, message, reason)

    def _handle(self, conn: Connection, message: Message) -> None:
        try:
            event = decode(message.value(), _appended(message))
        except InvalidEvent as error:
            self._dead_letter(conn, message, error.reason)
            if error.job_id is not None and message.topic() != self._topics.events:
                self._end_unread(conn, message, error.job_id, error.reason)
            return
        match event:
            case Requested() if message.topic() != self._topics.events:
                self._request(conn, message, event)
            case Cancel() | Pause() | Resume() if message.topic() != self._topics.events:
                self._control(conn, message, event)
            case Finished() if message.topic() == self._topics.events:
                self._follow(conn, message, event)
            case _ if message.topic() == self._topics.events:
                pass  # the tracker's business
            case _:
                self._dead_letter(conn, message, f"a {_type_of(event)} does not belong on {message.topic()}")

    def _request(self, conn: Connection, message: Message, event: Requested) -> None:
        try:
            self._check(message, event)
        except InvalidRequest as error:
            self._dead_letter(conn, message, str(error))
            self._end(conn, event, event.data.job, str(error), event.data.then)
            return
        inbox.insert_request(conn, event)

    def _check(self, message: Message, event: Requested) -> None:
        job = event.data.job
        if job_type(job.type).service != self._service:
            raise InvalidRequest("type", f"{job.type} is run by {job_type(job.type).service}, not by {self._service}")
        read_params(job.type, event.data.params)
        check_then(event.data.then, job.type)
        if not self._known_account(event.tenant, job.account):
            raise InvalidRequest("account", f"tenant {event.tenant!r} has no account {job.account!r}")
        if self._clock.now() - _appended(message) > REACH:
            raise InvalidRequest("time", f"the request is older than {REACH.days} days and may be a repeat")

    def _control(self, conn: Connection, message: Message, event: Cancel | Pause | Resume) -> None:
        if event.data.target.kind == "job" and not inbox.is_known(conn, event.job_id):
            self._dead_letter(conn, message, f"no job {event.job_id} was ever requested here")
            return
        inbox.obey(conn, event)

    def _follow(self, conn: Connection, message: Message, event: Finished) -> None:
        """Note this parent for each step of ours; when all parents are there, the child follows."""
        data = event.data
        for step in data.then:
            owner = JOB_TYPES.get(step.type)
            if owner is None or owner.service != self._service or data.job.type not in step.needs:
                continue
            names = {
                "tenant": event.tenant,
                "account": data.job.account,
                "chain": event.correlationid,
                "child_type": step.type,
            }
            # Two parents may be read by two processes at the same moment; one of them must see both.
            conn.execute(SQL["lock_chain"], names)
            conn.execute(
                SQL["note_parent"],
                {
                    **names,
                    "parent_type": data.job.type,
                    "parent_id": event.job_id,
                    "outcome": data.outcome,
                    "finished_at": event.time,
                    "appended_at": _appended(message),
                },
            )
            rows = conn.execute(SQL["latest_parents"], {**names, "needs": list(step.needs)}).fetchall()
            child = next_job(event, step, [Parent(*row) for row in rows], self._source)
            if child is None or conn.execute(SQL["note_child"], {"job_id": child.job_id}).rowcount == 0:
                continue
            if isinstance(child, Finished):
                inbox.insert_ended(conn, child, child.data.outcome)
                inbox.put_event(conn, self._topics.events, child.job_id, child)
            else:
                key = f"{child.tenant}/{child.data.job.account}"
                inbox.put_event(conn, self._topics.requests(self._service), key, child)

    def _end_unread(self, conn: Connection, message: Message, job_id: str, reason: str) -> None:
        """A request that cannot be read still names its job: that job ends, visibly."""
        head = _read(message.value() or b"", _Head)
        if head.type in {"job.cancel.v1", "job.pause.v1", "job.resume.v1"}:
            return  # a broken control message says nothing of its job
        described = _read(_read(head.data, _Data).job, _Job)
        event = Event(
            specversion="1.0",
            id=_text(head.id, job_id),
            source=self._source,
            job_id=job_id,
            time=self._clock.now(),
            tenant=_text(head.tenant, "unknown"),
            correlationid=job_id,
        )
        info = JobInfo(_text(described.type, "unknown"), _text(described.account, "unknown"))
        self._end(conn, event, info, reason)

    def _end(self, conn: Connection, event: Event, job: JobInfo, reason: str, then: tuple[Then, ...] = ()) -> None:
        ended = Finished(
            specversion="1.0",
            id=f"{event.job_id}/0/0",
            source=self._source,
            job_id=event.job_id,
            time=self._clock.now(),
            tenant=event.tenant,
            correlationid=event.correlationid,
            causationid=event.causationid,
            data=FinishedData(
                job=job,
                attempt=0,
                seq=0,
                outcome="failure",
                counters=Counters(),
                error=ErrorInfo("VALIDATION_FAILED", "INVALID_REQUEST", reason[:4096]),
                then=then,
            ),
        )
        if inbox.insert_ended(conn, ended, "failure"):
            inbox.put_event(conn, self._topics.events, event.job_id, ended)

    def _dead_letter(self, conn: Connection, message: Message, reason: str) -> None:
        put_dead_letter(
            conn,
            self._topics,
            place=Place(message.topic() or "", message.partition() or 0, message.offset() or 0),
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
            else:
                log.warning("consumer error", reason=str(error))
        return good


def _read(value: bytes | Raw, kind: type[Part]) -> Part:
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return kind()


def _appended(message: Message) -> datetime:
    """When the broker took it: the topics' timestamps are its own."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)


def _text(value: object, default: str) -> str:
    return value[:128] if isinstance(value, str) and value.strip() and "\0" not in value else default


def _type_of(event: Event) -> str:
    return str(type(event).__struct_config__.tag)
