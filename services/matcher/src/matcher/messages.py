"""The message on `matcher.chunks`: a CloudEvent that asks for the scores of one chunk, whose content is in its row."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from job_events.errors import InvalidEvent
from job_events.events import Count, JobId, Name, Time


class ChunkData(Struct, frozen=True):
    """The number of the chunk within its job."""

    chunk: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ChunkMessage(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="matcher.chunk.v1", rename={"job_id": "subject"}
):
    """`id` is job/chunk/attempt.number: each sending has its own."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=512)]
    source: Annotated[str, Meta(min_length=1, max_length=512)]
    job_id: JobId
    time: Time
    tenant: Name
    correlationid: JobId
    data: ChunkData


_decoder = msgspec.json.Decoder(ChunkMessage)


def chunk_key(job_id: str, chunk: Count) -> str:
    """Key of the message: chunks of one job spread over all partitions."""
    return f"{job_id}/{chunk}"


def encode_chunk(
    job_id: str, chunk: int, *, moment: str, source: str, time: datetime, tenant: str, correlationid: str
) -> str:
    """The message as text. moment: differs between two messages of one chunk."""
    message = ChunkMessage(
        specversion="1.0",
        id=f"{job_id}/{chunk}/{moment}",
        source=source,
        job_id=job_id,
        time=time,
        tenant=tenant,
        correlationid=correlationid,
        data=ChunkData(chunk),
    )
    return msgspec.json.encode(message).decode()


def decode_chunk(value: bytes | None) -> ChunkMessage:
    """Read a message.

    Raises:
        InvalidEvent: with a reason for people.
    """
    try:
        return _decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidEvent(f"no chunk message: {error}") from None
