"""Records to produce, and events as raw JSON, without code under test."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
EARLY = datetime(1970, 1, 1, tzinfo=UTC)
LATE = datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
BIGGEST = 2**53 - 1
Json = dict[str, Any]


class Message(NamedTuple):
    """One record to produce. `topic` is a name of the contract, without the run's prefix."""

    topic: str
    key: bytes | None
    value: bytes | None


def stamp(moment: datetime) -> str:
    """A time whose text sorts as the time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event(kind: str, job: str, event_id: str, at: datetime, data: Json) -> Json:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": event_id,
        "source": "jobtrail/chaos/1",
        "subject": job,
        "time": stamp(at),
        "tenant": "demo",
        "correlationid": f"chain-{job}",
        "data": data,
    }
