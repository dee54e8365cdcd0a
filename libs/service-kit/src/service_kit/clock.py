"""Time: the clocks as an argument, so that tests set them, and the pause before a further try."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The clocks that a service needs."""

    def now(self) -> datetime:
        """The wall clock in UTC, for event times."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for durations and intervals."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def backoff(attempt: int, first: float, longest: float) -> float:
    """Seconds to wait after failed try number `attempt` (from 1): `first`, doubled each time, at most `longest`."""
    return min(longest, first * 2.0 ** min(attempt - 1, 30))
