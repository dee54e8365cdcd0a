"""Health: derived when read, from the last sign of life and the time waited. It never ends a job, and it heals."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Health = Literal["ok", "late", "stalled", "lost"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """After how long without a sign each word is said."""

    late: timedelta
    stalled: timedelta
    lost: timedelta


# A running job signs at least every few seconds (progress is its heartbeat); a platform's lock may take minutes.
RUNNING = Thresholds(late=timedelta(minutes=1), stalled=timedelta(minutes=10), lost=timedelta(hours=1))
# A queued job waits for a worker: behind a long queue that is no fault, so the words come later.
QUEUED = Thresholds(late=timedelta(minutes=10), stalled=timedelta(hours=2), lost=timedelta(hours=24))


def health(state: str, last_sign: datetime, now: datetime) -> Health:
    """The word for a job in `state` that gave its last sign at `last_sign`; a finished job is ok for good."""
    if state == "finished":
        return "ok"
    limits = QUEUED if state == "queued" else RUNNING
    silent = now - last_sign
    if silent >= limits.lost:
        return "lost"
    if silent >= limits.stalled:
        return "stalled"
    return "late" if silent >= limits.late else "ok"
