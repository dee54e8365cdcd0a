"""One message as one line of JSON: its position, its key and headers, and the CloudEvent as it was sent.

A value that is JSON on one line in UTF-8 is stored as it is, so that any tool can read the events; any other as base64.
Either way the bytes of the message are restored exactly.
"""

import base64
import binascii
from datetime import datetime
from typing import NamedTuple

import msgspec
from confluent_kafka import Message

from job_events.envelope import too_deep
from job_tracker.errors import InvalidLine
from job_tracker.log.messages import as_bytes, to_record
from job_tracker.log.records import Record


class Archived(NamedTuple):
    """A record with what no projection reads."""

    record: Record
    headers: tuple[tuple[str, bytes | None], ...] = ()


def to_archived(message: Message, topic: str, partition: int, offset: int) -> Archived:
    """A message of Kafka's client, whole."""
    headers = tuple((name, as_bytes(value)) for name, value in message.headers() or ())
    return Archived(to_record(message, topic, partition, offset), headers)


class Header(msgspec.Struct, array_like=True, omit_defaults=True):
    """A name with its text, with its bytes, or with nothing."""

    name: str
    text: str | None = None
    base64: str | None = None


class Line(msgspec.Struct, omit_defaults=True):
    """The fields of a line. An absent key or value was absent in the message; an empty one is an empty base64."""

    offset: int
    appended_at: datetime
    key: str | None = None
    key_base64: str | None = None
    value: msgspec.Raw = msgspec.Raw()
    value_base64: str | None = None
    headers: list[Header] = []


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_any_json = msgspec.json.Decoder(msgspec.Raw)


def write_line(archived: Archived) -> bytes:
    """The line of a message, without its line end."""
    record = archived.record
    line = Line(record.offset, record.appended_at)
    if record.key is not None:
        line.key, line.key_base64 = _text_or_base64(record.key)
    value = record.value
    if value is not None:
        if _stands_in_json(value):
            line.value = msgspec.Raw(value)
        else:
            line.value_base64 = _base64(value)
    for name, content in archived.headers:
        line.headers.append(Header(name) if content is None else Header(name, *_text_or_base64(content)))
    return _encoder.encode(line)


def read_line(topic: str, partition: int, line: bytes) -> Archived:
    """The message of a line.

    Raises:
        InvalidLine: this is no line of an archive.
    """
    try:
        read = _decoder.decode(line)
        raw = bytes(read.value)
        record = Record(
            topic,
            partition,
            read.offset,
            read.appended_at,
            _bytes(read.key, read.key_base64),
            raw or _bytes(None, read.value_base64),
        )
        return Archived(record, tuple((header.name, _bytes(header.text, header.base64)) for header in read.headers))
    except (msgspec.DecodeError, binascii.Error, RecursionError, ValueError) as error:
        raise InvalidLine(str(error)) from None


def _stands_in_json(value: bytes) -> bool:
    if not (value.startswith(b"{") and value.endswith(b"}")) or b"\n" in value or b"\r" in value or too_deep(value):
        return False
    try:
        value.decode()
        _any_json.decode(value)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False
    return True


def _text_or_base64(content: bytes) -> tuple[str | None, str | None]:
    try:
        return content.decode(), None
    except UnicodeDecodeError:
        return None, _base64(content)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    return text.encode() if text is not None else None
