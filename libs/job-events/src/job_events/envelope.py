"""Events to bytes and back: CloudEvents 1.0 in structured mode, readable in any Kafka tool."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from job_events.errors import InvalidEvent
from job_events.events import EVENT_TYPES, JOB_ID_PATTERN, AnyEvent, DeadLetter, Started
from job_events.texts import with_texts

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", CONTENT_TYPE.encode())]

# A timestamp outside these years comes from a broken clock.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
# How far an event's time may be ahead of its LogAppendTime. Lists are sorted by these times, so an event far in the
# future would stay first for as long.
MAX_AHEAD = timedelta(hours=24)

# Levels of nested objects and arrays. The limit of msgspec depends on the stack depth of its caller (1,000 in all), and
# every reader must accept the same events.
MAX_DEPTH = 500

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(AnyEvent)
_dead_letter_decoder = msgspec.json.Decoder(DeadLetter)
_subject = re.compile(JOB_ID_PATTERN)
_BACKSLASH = ord("\\")
# A string is one token, so that brackets in it do not count.
_brackets = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)
# In JSON a backslash occurs only in strings; one behind an even number of others starts an escape.
_nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_unstorable = re.compile("[\0\ud800-\udfff]")


def _is_id(text: str) -> bool:
    # Not `match`: its `$` accepts a trailing line end, unlike `$` in the schemas.
    return _subject.fullmatch(text) is not None


def encode(event: AnyEvent) -> bytes:
    """One CloudEvent as a JSON object on one line."""
    return _encoder.encode(event)


def encode_own(event: AnyEvent) -> bytes:
    """As `encode`, for events with text from job code: characters that cannot be stored are replaced."""
    try:
        value = _encoder.encode(event)
    except UnicodeEncodeError:
        value = None
    if value is None or (_BACKSLASH in value and _nul.search(value) is not None):
        return _encoder.encode(storable(msgspec.to_builtins(event)))
    return value


def storable(value: Any) -> Any:
    """A JSON value with U+FFFD for characters that PostgreSQL or UTF-8 cannot hold: NUL and lone surrogates."""
    return with_texts(value, lambda text: _unstorable.sub("\ufffd", text))


def canonical(value: object) -> str:
    """The canonical JSON text of a value: keys sorted, no spaces. It decides ties between events."""
    return _canonical.encode(value).decode()


def dead_letter_bytes(dead_letter: DeadLetter) -> bytes:
    """A dead letter as a message of `jobs.dead-letters`."""
    return _encoder.encode(dead_letter)


def read_dead_letter(value: bytes | None) -> DeadLetter:
    """Read a message of `jobs.dead-letters`.

    Raises:
        InvalidEvent: the bytes are not a dead letter.
    """
    if too_deep(value := value or b""):
        raise _depth_error()
    try:
        return _dead_letter_decoder.decode(value)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise InvalidEvent(f"no dead letter: {error}") from None


def decode(value: bytes | None, appended_at: datetime | None = None) -> AnyEvent:
    """Read one message. `appended_at` is its LogAppendTime; without it, a time in the future is not detected.

    Raises:
        InvalidEvent: with a reason for people, and the job id where it can be read.
    """
    if value is None:
        raise InvalidEvent("a tombstone (no value) is no event")
    try:
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise (_depth_error() if too_deep(value) else _decode_error(value, error)) from None
    if len(value) > 2 * MAX_DEPTH and too_deep(value):  # shorter JSON cannot be
        raise _depth_error()
    parent = event.causationid
    if not (_is_id(event.job_id) and _is_id(event.correlationid) and (parent is None or _is_id(parent))):
        reason = "subject, correlationid and causationid must match the regex " + JOB_ID_PATTERN
        raise InvalidEvent(reason, event.job_id if _is_id(event.job_id) else None)
    _check_time(event.time, appended_at, event.job_id)
    if isinstance(event, Started):
        _check_time(event.data.request.time, appended_at, event.job_id)
    # Searched in the bytes: unknown fields were skipped undecoded.
    if _BACKSLASH in value and _nul.search(value) is not None:
        raise InvalidEvent("holds U+0000, which PostgreSQL cannot store", event.job_id)
    return event


def job_id_in(value: bytes | None) -> str | None:
    """The `subject` of bytes that may not be an event; None where it cannot be read."""
    try:
        raw = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    subject = raw.get("subject") if isinstance(raw, dict) else None
    return subject if isinstance(subject, str) and _is_id(subject) else None


def too_deep(value: bytes) -> bool:
    """Whether JSON nests deeper than MAX_DEPTH; for other bytes the result is deterministic."""
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    depth = deepest = 0
    for found in _brackets.finditer(value):
        mark = found[0]
        depth += (mark in {b"[", b"{"}) - (mark in {b"]", b"}"})
        deepest = max(deepest, depth)
    return deepest > MAX_DEPTH


def _depth_error() -> InvalidEvent:
    return InvalidEvent(f"nests deeper than {MAX_DEPTH} levels")


def _check_time(time: datetime, appended_at: datetime | None, job_id: str) -> None:
    if not EARLIEST <= time < LATEST:
        raise InvalidEvent(f"time {time.isoformat()} lies outside 1970 to 3000", job_id)
    if appended_at is not None and time - appended_at > MAX_AHEAD:
        ahead = f"more than 24 hours ahead of {appended_at.isoformat()}, when Kafka took it"
        raise InvalidEvent(f"time {time.isoformat()} lies {ahead}", job_id)


def _decode_error(value: bytes, error: Exception) -> InvalidEvent:
    """The reason why bytes are not an event, with the job id and the type where they can be read."""
    reason = str(error) or type(error).__name__
    try:
        raw = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return InvalidEvent(f"no JSON object: {reason}")
    if not isinstance(raw, dict):
        return InvalidEvent(f"no JSON object but {type(raw).__name__}")
    kind, subject = raw.get("type"), raw.get("subject")
    job_id = subject if isinstance(subject, str) and _is_id(subject) else None
    if isinstance(kind, str) and kind not in EVENT_TYPES:
        reason = f"unknown type {kind[:100]!r}"
    return InvalidEvent(reason, job_id)
