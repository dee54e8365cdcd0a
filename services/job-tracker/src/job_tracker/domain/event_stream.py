"""Server-sent events as bytes."""

from collections.abc import Iterator, Sequence

import msgspec

from job_tracker.domain.changes import Told

PIECE = 65536  # bytes after which the jobs of one batch go on in another event


def event(name: str, data: bytes, token: str | None = None) -> bytes:
    """One event; `data` is JSON on one line. With a token the client resumes after this event, if it is cut."""
    head = f"event: {name}\n" if token is None else f"event: {name}\nid: {token}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def retry(milliseconds: int) -> bytes:
    """How long a client that was cut shall wait before it comes back."""
    return b"retry: %d\n\n" % milliseconds


def jobs(told: Told, token: str) -> Iterator[bytes]:
    """One batch as `jobs` events. Only the last one has the token: who is cut before it gets the batch again."""
    if not told.jobs and not told.removed:
        return
    pieces = list(_pieces(told.jobs))
    for piece in pieces[:-1]:
        yield event("jobs", b'{"jobs":[%b],"removed":[]}' % b",".join(piece))
    data = b'{"jobs":[%b],"removed":%b}' % (b",".join(pieces[-1]), msgspec.json.encode(told.removed))
    yield event("jobs", data, token)


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
