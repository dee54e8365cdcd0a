"""Publishes requests, control and deletion of jobs; returns when Kafka has acknowledged the event."""

import asyncio
import hashlib
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog
import uuid_utils
from confluent_kafka import KafkaError, KafkaException, Message
from msgspec import UNSET, UnsetType

from job_events.envelope import HEADERS, canonical, decode, encode
from job_events.errors import InvalidEvent, InvalidRequest
from job_events.events import (
    AnyEvent,
    Cancel,
    ControlData,
    ControlTarget,
    Deleted,
    DeletedData,
    JobInfo,
    Pause,
    Requested,
    RequestedData,
    Resume,
)
from job_events.job_types import job_type
from job_events.tokens import Positions, encode_token
from job_events.topics import SERVICES, Topics, request_key
from job_tracker.errors import NotAcknowledged
from service_kit.clock import Clock
from service_kit.kafka import ReconnectingProducer

log = structlog.get_logger()
Verb = Literal["cancel", "pause", "resume"]
SOURCE = "jobtrail/job-tracker/api"
_CONTROLS: dict[Verb, type[Cancel] | type[Pause] | type[Resume]] = {"cancel": Cancel, "pause": Pause, "resume": Resume}
MAX_EVENT = 1_500_000  # bytes: a topic takes 2 MB, and the started event repeats its request


@dataclass(frozen=True, slots=True)
class Identity:
    """The fields that are the same when a request is sent again."""

    job_id: str
    chain: str
    time: datetime


class CommandPublisher:
    """Produces command events, for any number of concurrent callers between `start` and `close`."""

    def __init__(self, producer: ReconnectingProducer, topics: Topics, clock: Clock) -> None:
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="delivery-reports", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for outstanding deliveries, some seconds at most."""
        self._stop.set()
        self._thread.join(5)
        self._producer.flush(5)

    def identity(self, chain: str | None = None) -> Identity:
        """A new job's id, its chain (its own unless it joins one), and the time of the request."""
        return Identity(str(uuid_utils.uuid7()), chain or str(uuid_utils.uuid7()), self._clock.now())

    async def request(self, identity: Identity, tenant: str, data: RequestedData) -> str:
        """Put a job request on its service's topic; the token of its position.

        Raises:
            InvalidRequest: the event would be refused by its readers.
            NotAcknowledged
        """
        topic = self._topics.requests(job_type(data.job.type).service)
        return await self._send([(topic, request_key(tenant, data.job.account), _requested(identity, tenant, data))])

    def service_of(self, topic: str) -> str | None:
        """The service that takes its requests from this topic, if one does."""
        return next((service for service in SERVICES if self._topics.requests(service) == topic), None)

    async def control_job(
        self, verb: Verb, *, row: dict[str, str], job: JobInfo, service: str, requested_by: str, reason: str
    ) -> str:
        """Cancel, pause or resume the job of `row` (job_id, tenant, account, chain) at `service`; the token.

        `job` travels with the event: a service that does not hold the job ends it with what is said there.

        Raises:
            InvalidRequest: the event would be refused by its readers.
            NotAcknowledged
        """
        target = ControlTarget("job", job_id=row["job_id"])
        event = self._control(verb, row["job_id"], row["tenant"], target, requested_by, reason, row["chain"], job)
        return await self._send([(self._topics.requests(service), request_key(row["tenant"], row["account"]), event)])

    async def delete_jobs(
        self, jobs: Sequence[tuple[dict[str, str], JobInfo]], *, requested_by: str, reason: str
    ) -> str:
        """Take jobs, each a row (job_id, tenant, chain, parent) and a description, out of the table; the token.

        Raises:
            NotAcknowledged: some of the events may have been sent.
        """
        time = self._clock.now()
        events = [
            Deleted(
                specversion="1.0",
                id=f"{row['job_id']}/deleted",
                source=SOURCE,
                job_id=row["job_id"],
                time=time,
                tenant=row["tenant"],
                correlationid=row["chain"],
                causationid=row["parent"],
                data=DeletedData(job=job, requested_by=requested_by, reason=reason),
            )
            for row, job in jobs
        ]
        return await self._send([(self._topics.events, event.job_id.encode(), event) for event in events])

    async def control_account(
        self, verb: Verb, *, tenant: str, account: str, services: Sequence[str], requested_by: str, reason: str
    ) -> str:
        """Pause or resume all jobs of an account at these services."""
        target = ControlTarget("account", account=account)
        event = self._control(verb, account_subject(account), tenant, target, requested_by, reason)
        key = request_key(tenant, account)
        return await self._send([(self._topics.requests(service), key, event) for service in services])

    async def control_queue(self, verb: Verb, *, tenant: str, service: str, requested_by: str, reason: str) -> str:
        """Pause or resume all jobs of one service."""
        event = self._control(verb, queue_subject(service), tenant, ControlTarget("queue"), requested_by, reason)
        return await self._send([(self._topics.requests(service), f"queue/{service}".encode(), event)])

    def _control(
        self,
        verb: Verb,
        subject: str,
        tenant: str,
        target: ControlTarget,
        requested_by: str,
        reason: str,
        chain: str | None = None,
        job: JobInfo | UnsetType = UNSET,
    ) -> Cancel | Pause | Resume:
        return _CONTROLS[verb](
            specversion="1.0",
            id=f"{subject}/{verb}/{uuid_utils.uuid7()}",
            source=SOURCE,
            job_id=subject,
            time=self._clock.now(),
            tenant=tenant,
            correlationid=chain or subject,
            data=ControlData(target=target, requested_by=requested_by, reason=reason, job=job),
        )

    async def _send(self, messages: Sequence[tuple[str, bytes, AnyEvent]]) -> str:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[Message]] = []
        for topic, key, event in messages:
            value = _encoded(event)
            future: asyncio.Future[Message] = loop.create_future()
            waiting.append(future)
            try:
                self._producer.produce(topic, value=value, key=key, headers=HEADERS, on_delivery=_settler(loop, future))
            except (BufferError, KafkaException) as error:
                raise NotAcknowledged(str(error)) from None
        positions: Positions = {}
        for message in await asyncio.gather(*waiting):
            topic, number, offset = message.topic(), message.partition(), message.offset()
            if topic is None or number is None or offset is None:
                raise NotAcknowledged("acknowledged without a position")
            positions[topic, number] = max(positions.get((topic, number), 0), offset + 1)
        return encode_token(positions)

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.2)


def account_subject(account: str) -> str:
    """The subject of a control event for an account, in the place of a job id."""
    return f"account.{account}"[:128]


def queue_subject(service: str) -> str:
    """The subject of a control event for the queue of a service, in the place of a job id."""
    return f"queue.{service}"


def check_request(identity: Identity, tenant: str, data: RequestedData) -> None:
    """Check that such a request can be sent.

    Raises:
        InvalidRequest: the event would be refused by its readers.
    """
    _encoded(_requested(identity, tenant, data))


def _requested(identity: Identity, tenant: str, data: RequestedData) -> Requested:
    return Requested(
        specversion="1.0",
        id=f"{identity.job_id}/0/0",
        source=SOURCE,
        job_id=identity.job_id,
        time=identity.time,
        tenant=tenant,
        correlationid=identity.chain,
        causationid=data.parents[0] if data.parents else None,
        data=data,
    )


def _encoded(event: AnyEvent) -> bytes:
    with _bad_body():
        value = encode(event)
        decode(value)
    if len(value) > MAX_EVENT:
        raise InvalidRequest("body", f"is {len(value):,} bytes as an event, which may have {MAX_EVENT:,} at most")
    return value


def request_hash(body: object) -> str:
    """Two bodies with the same content have the same hash, however their JSON was written.

    Raises:
        InvalidRequest: a text in it is none that JSON can carry.
    """
    with _bad_body():
        return hashlib.sha256(canonical(body).encode()).hexdigest()


@contextmanager
def _bad_body() -> Generator[None]:
    """Turn errors of encoding into InvalidRequest for the caller."""
    try:
        yield
    except InvalidEvent as error:
        raise InvalidRequest("body", error.reason) from None
    except (UnicodeError, RecursionError) as error:
        raise InvalidRequest("body", f"cannot be written as JSON: {error}") from None


def _settler(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Message]"):
    def settle(error: KafkaError | None, message: Message) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(NotAcknowledged(error.str()))
        else:
            future.set_result(message)

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        loop.call_soon_threadsafe(settle, error, message)

    return on_delivery
