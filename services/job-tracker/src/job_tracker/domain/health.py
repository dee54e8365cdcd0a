"""Health: derived when read, from the last sign of life and from pauses. It is reversible and never ends a job."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Health = Literal["ok", "paused", "late", "stalled", "lost"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The time without a sign of life after which each word applies."""

    late: timedelta
    stalled: timedelta
    lost: timedelta


# A running job reports progress every few seconds; a lock of a platform may take minutes.
RUNNING = Thresholds(late=timedelta(minutes=1), stalled=timedelta(minutes=10), lost=timedelta(hours=1))
# A queued job waits for a worker; in a long queue that is no fault, so the limits are longer.
QUEUED = Thresholds(late=timedelta(minutes=10), stalled=timedelta(hours=2), lost=timedelta(hours=24))


@dataclass(frozen=True, slots=True)
class HealthSignals:
    """What decides the health of an unfinished job besides its row. Times are the broker's (LogAppendTime).

    `appended_at`: of its newest request, start or progress; None where the history does not hold it.
    `resumed_at`: when it, its account or its queue was last resumed, or when it wakes while its worker has deferred it:
    until then no sign was due.
    `paused`: an operator paused it, its account or its queue.
    """

    appended_at: datetime | None = None
    resumed_at: datetime | None = None
    paused: bool = False


NO_SIGNALS = HealthSignals()


def last_signal(reported: datetime, signals: HealthSignals, now: datetime) -> datetime:
    """The time of the last sign of life; `reported` is that of the job's own events, by clocks that may be ahead."""
    heard = min(reported, signals.appended_at or now, now)
    resumed, appended = signals.resumed_at, signals.appended_at
    # Events appended after the resumption, however old they are, are the better evidence.
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
