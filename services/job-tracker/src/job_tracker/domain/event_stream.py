"""Server-sent events as bytes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from job_events.tokens import Positions, decode_token, encode_token
from job_tracker.domain.changes import ViewChanges

PIECE = 65536  # bytes after which the jobs of one batch go on in another event


class StreamPosition(NamedTuple):
    """The position of a stream: all up to `positions` was sent, of the table with the number `epoch` (None: any)."""

    positions: Positions
    epoch: int | None = None

    @property
    def id(self) -> str:
        """A freshness token, and behind a dot the table's number."""
        token = encode_token(self.positions)
        return token if self.epoch is None else f"{token}.{self.epoch}"

    @classmethod
    def read(cls, text: str) -> "StreamPosition":
        """The position of an id.

        Raises:
            ValueError: it is none.
        """
        _, _, epoch = text.partition(".")
        if epoch and not (epoch.isascii() and epoch.isdigit() and len(epoch) < 20):
            raise ValueError(f"not an id of this stream: {text[:80]!r}")
        return cls(decode_token(text), int(epoch) if epoch else None)


def event(name: str, data: bytes, place: StreamPosition | None = None) -> bytes:
    """One event; `data` is JSON on one line. With a position, a client can resume after it."""
    head = f"event: {name}\n" if place is None else f"event: {name}\nid: {place.id}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def retry(milliseconds: int) -> bytes:
    """How long a disconnected client waits before it reconnects."""
    return b"retry: %d\n\n" % milliseconds


def jobs(changes: ViewChanges, place: StreamPosition) -> Iterator[bytes]:
    """One batch as `jobs` events. Only the last has the position, so a client resumes with a whole batch."""
    if not changes.jobs and not changes.removed:
        return
    pieces = list(_pieces(changes.jobs))
    for piece in pieces[:-1]:
        yield event("jobs", b'{"jobs":[%b],"removed":[]}' % b",".join(piece))
    data = b'{"jobs":[%b],"removed":%b}' % (b",".join(pieces[-1]), msgspec.json.encode(changes.removed))
    yield event("jobs", data, place)


def _pieces(bodies: Sequence[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for body in bodies:
        if size + len(body) > PIECE and piece:
            yield piece
            piece, size = [], 0
        piece.append(body)
        size += len(body)
    yield piece
