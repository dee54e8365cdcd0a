"""Every error of the tracker on one screen. A text that is given to one says what happened and what to do."""

from collections.abc import Sequence
from typing import Any

import psycopg

from job_events.errors import JobtrailError


class TrackerError(JobtrailError):
    """Base of every error that the tracker raises on purpose."""


# The log and the projection


class BrokerAway(TrackerError):
    """The broker did not answer in time."""


class LogBroken(TrackerError):
    """The log no longer holds a stretch that was to be read. Reading on would skip events silently."""


class LogTimeout(TrackerError):
    """Kafka sent nothing for a long time although there is more to read."""


class Fenced(TrackerError):
    """moved by another owner: {partitions}"""

    def __init__(self, partitions: set[tuple[str, int]]) -> None:
        super().__init__(f"moved by another owner: {sorted(partitions)}")
        self.partitions = partitions


class ForeignLog(TrackerError):
    """not of the log that the positions belong to: {partitions}"""

    def __init__(self, partitions: set[tuple[str, int]]) -> None:
        super().__init__(f"not of the log that the positions belong to: {sorted(partitions)}")
        self.partitions = partitions


class PostgresTimeout(TrackerError, psycopg.OperationalError):
    """PostgreSQL has not answered in time. The connection is closed; a retry would take as long."""


# The API


class Problem(TrackerError):
    """An answer that is an error. `errors` lists (field, reason); `more` are further members of the body."""

    def __init__(self, status: int, detail: str, errors: Sequence[tuple[str, str]] = (), **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.more = more


class NotAcknowledged(TrackerError):
    """Kafka did not take the message in time, or it is not known whether it did."""


class IdempotencyKeyReused(TrackerError):
    """The idempotency key belongs to a request with another body."""


class UnknownDeadLetters(TrackerError):
    """no dead letter at {indexes} of the request"""

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(f"no dead letter at {', '.join(map(str, indexes))} of the request")
        self.indexes = indexes


class UnknownSchedule(TrackerError):
    """no schedule has the id {schedule_id}"""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"no schedule has the id {schedule_id[:128]!r}")


class HistoryGap(TrackerError):
    """The changes between a reader's positions and now cannot be sent one by one."""


# Rebuild and archive


class RebuildRefused(TrackerError):
    """The rebuild would lose something, or cannot be done now."""


class PositionsMoved(TrackerError):
    """The positions under which a rebuild writes are not where it left them."""


class ShareLost(TrackerError):
    """A process that folded a share of the log has ended, or could not go on."""


class SwapBlocked(TrackerError):
    """Another object or session prevents the swap; the live table has not changed."""


class ArchiveDamaged(TrackerError):
    """A file of the archive is not what its manifest says, or days do not join."""


class NotArchived(TrackerError):
    """The log does not continue where the archive ends."""


class ArchiveBusy(TrackerError):
    """Another process writes to the archive."""


class InvalidLine(TrackerError, ValueError):
    """The line is not one that an archive writes."""
