"""Health: derived when read, from the last sign of life and from what is paused. It never ends a job, and it heals."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Health = Literal["ok", "paused", "late", "stalled", "lost"]


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


@dataclass(frozen=True, slots=True)
class HealthSignals:
    """What is known of an unfinished job besides its row. Times are the broker's (LogAppendTime).

    `appended_at`: of its newest request, start or progress; None where the history does not hold it.
    `resumed_at`: when it, its account or its queue was last resumed: until then it was not to give any sign.
    `paused`: an operator paused it, its account or its queue.
    """

    appended_at: datetime | None = None
    resumed_at: datetime | None = None
    paused: bool = False


NO_SIGNALS = HealthSignals()


def last_signal(told: datetime, signals: HealthSignals, now: datetime) -> datetime:
    """When a job was last heard of, if its own events say `told`: a clock that is ahead counts as the broker's."""
    heard = min(told, signals.appended_at or now, now)
    resumed, appended = signals.resumed_at, signals.appended_at
    # Events that came after the resumption, however old they are, tell more than it.
    return max(heard, resumed) if resumed and (appended is None or resumed > appended) else heard


def health(state: str, sign: datetime, now: datetime, *, paused: bool = False) -> Health:
    """The word for a job in `state` that gave its last sign at `sign`; a finished job is ok for good."""
    if state == "finished":
        return "ok"
    if paused:
        return "paused"
    limits = QUEUED if state == "queued" else RUNNING
    silent = now - sign
    if silent >= limits.lost:
        return "lost"
    if silent >= limits.stalled:
        return "stalled"
    return "late" if silent >= limits.late else "ok"
