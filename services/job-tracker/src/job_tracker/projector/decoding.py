"""What the tracker asks of a record beyond the contract's own decoding."""

import re

from job_events.envelope import EARLIEST, LATEST, decode
from job_events.errors import InvalidEvent
from job_events.events import AnyEvent, Started

# An escaped U+0000, and not a backslash followed by the text u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def decode_storable(value: bytes | None) -> AnyEvent:
    """Decode, and refuse what JSON can carry but PostgreSQL cannot hold.

    Raises:
        InvalidEvent: with a reason for people.
    """
    event = decode(value)
    if value is not None and _NUL.search(value):
        raise InvalidEvent("holds the character U+0000, which no PostgreSQL text can", event.job_id)
    if isinstance(event, Started) and not EARLIEST <= event.data.request.time < LATEST:
        raise InvalidEvent("the request's time lies outside 1970 to 3000", event.job_id)
    return event
