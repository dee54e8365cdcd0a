"""How long a client goes on trying: growing, jittered pauses until its patience is over."""

import math
import random
from collections.abc import Callable

import structlog

from platforms.errors import PlatformError, RateLimited, Unavailable
from platforms.results import Wait

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
SHORTEST_TOLD = 1.0  # seconds; a platform that refuses is not called more often, whatever it told
LONGEST_TOLD = 3600.0  # seconds; no platform means more, and everybody at one bucket waits as told
DEFAULT_PATIENCE = 1800.0  # seconds; a platform that is down for minutes delays a job and does not fail it

_log = structlog.get_logger(__name__)


def told(seconds: float) -> float | None:
    """A pause that a platform told, in seconds: from SHORTEST_TOLD to LONGEST_TOLD; None if it is no span of time."""
    return min(max(seconds, SHORTEST_TOLD), LONGEST_TOLD) if math.isfinite(seconds) else None


MOST_UNREADABLE = 4


class Retrying:
    """The retries of one call. Patience counts from its first failure, on the injected clock."""

    def __init__(
        self,
        wait: Wait,
        clock: Callable[[], float],
        patience: float,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._patience = patience
        self._jitter = jitter
        self._failures = self._unreadable = 0
        self._first_failure = 0.0

    @property
    def failures(self) -> int:
        """How often this call has failed so far."""
        return self._failures

    def again(self, error: PlatformError, *, pause: float | None = None) -> None:
        """Return after the pause before the next attempt; raise `error` when patience is over, or would be then.

        pause: seconds told by the platform, kept exactly; None = ours, 1 s doubling to 30 s, the last
        half of it random, so that workers do not come back all at once. After RateLimited it is SHORTEST_TOLD at least.
        An answer without sense is asked for MOST_UNREADABLE times again: a platform that is there and keeps saying the
        same is not waited for.
        """
        now = self._clock()
        if isinstance(error, Unavailable) and error.category == "PLATFORM_ERROR":
            if self._unreadable >= MOST_UNREADABLE:
                raise error
            self._unreadable += 1
        if self._failures == 0:
            self._first_failure = now
        elif now - self._first_failure >= self._patience:
            raise error
        if pause is not None and now + pause > self._first_failure + self._patience:
            raise error
        if pause is None:
            # The exponent is bounded because 2.0 to the power of a long outage overflows.
            ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 10))
            pause = ceiling * (0.5 + 0.5 * self._jitter())
        if isinstance(error, RateLimited):
            pause = max(pause, SHORTEST_TOLD)
        self._failures += 1
        _log.info("platform call repeated", code=error.code, reason=error.message, pause=pause, failures=self._failures)
        if pause > 0:
            self._wait(pause, f"{error.code}: {error.message}")
