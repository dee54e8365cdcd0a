"""Time as an argument, so that tests decide what it is."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the worker side needs of time."""

    def now(self) -> datetime:
        """The wall clock in UTC, for event times."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for durations and coalescing."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
