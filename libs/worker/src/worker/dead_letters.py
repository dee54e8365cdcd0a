"""Dead letters: a message that a consumer cannot use is sent to `jobs.dead-letters` with its place and the reason."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import structlog
from psycopg import Connection

from job_events.envelope import dead_letter_bytes, job_id_in, storable
from job_events.events import DeadLetter, DeadLetterData
from job_events.topics import Topics
from worker.inbox import put_message

log = structlog.get_logger(__name__)
MAX_VALUE = 1_048_576  # bytes of the message that a dead letter repeats
_MAX_KEY = 1024  # bytes of its key
_MAX_TEXT = 1_500_000  # bytes of JSON; a NUL takes six of them, and no more than 2 MiB fit into the topic


@dataclass(frozen=True, slots=True)
class DeadLetterSource:
    """The place of a message."""

    topic: str
    partition: int
    offset: int


def put_dead_letter(
    conn: Connection,
    topics: Topics,
    *,
    place: DeadLetterSource,
    key: bytes | None,
    value: bytes | None,
    consumer: str,
    source: str,
    time: datetime,
    reason: str,
    job_id: str | None = None,
) -> None:
    """Put a dead letter into the outbox of the connection's schema; it is sent after the commit.

    job_id: the job of the message; read from the message where it is not given.
    """
    text, encoding, truncated = _printable(value, MAX_VALUE)
    key_text, _, _ = _printable(key, _MAX_KEY)
    dead_letter = DeadLetter(
        specversion="1.0",
        id=f"{place.topic}/{place.partition}/{place.offset}/{consumer}",
        source=source,
        time=time,
        subject=job_id or job_id_in(value),
        data=DeadLetterData(
            topic=place.topic,
            partition=place.partition,
            offset=place.offset,
            consumer=consumer,
            reason=storable(reason)[:4096],
            key=key_text,
            value=text,
            encoding=encoding,
            truncated=truncated,
            value_bytes=len(value or b""),
        ),
    )
    log.warning("dead letter", topic=place.topic, partition=place.partition, offset=place.offset, reason=reason[:200])
    row_key = None if key_text is None else storable(key_text)
    put_message(conn, topics.dead_letters, row_key, dead_letter_bytes(dead_letter).decode())


def _printable(value: bytes | None, longest: int) -> tuple[str | None, Literal["utf-8", "base64"], bool]:
    if value is None:
        return None, "utf-8", False
    kept, truncated = value[:longest], len(value) > longest
    try:
        text = kept.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(msgspec.json.encode(text)) > _MAX_TEXT:
        return base64.b64encode(kept).decode(), "base64", truncated
    return text, "utf-8", truncated
