"""The retries of a call: growing, jittered pauses until the retry timeout is over."""

import math
import random
from collections.abc import Callable

import structlog

from platforms.errors import PlatformError, RateLimited, Unavailable
from platforms.results import Wait

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
MIN_RETRY_AFTER = 1.0  # seconds; a platform that refuses is not called more often, even if it asks for less
MAX_RETRY_AFTER = 3600.0  # seconds; no platform locks for longer, and every client of a bucket waits that long
DEFAULT_RETRY_TIMEOUT = 1800.0  # seconds; a platform that is down for minutes delays a job and does not fail it

_log = structlog.get_logger(__name__)


def bounded_retry_after(seconds: float) -> float | None:
    """The seconds that a platform asks to wait, from MIN_RETRY_AFTER to MAX_RETRY_AFTER; None for infinity and NaN."""
    return min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER) if math.isfinite(seconds) else None


MAX_UNREADABLE_ANSWERS = 4
# A job waits so long in its thread: a deferral would begin the count of such answers anew.
_LONGEST_UNREADABLE_PAUSE = 3.0


class Retrying:
    """The retries of one call. The retry timeout counts from its first failure, on the injected clock."""

    def __init__(
        self,
        wait: Wait,
        clock: Callable[[], float],
        retry_timeout: float,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._retry_timeout = retry_timeout
        self._jitter = jitter
        self._failures = self._unreadable = 0
        self._first_failure = 0.0

    def _patience(self, error: PlatformError) -> float:
        """Seconds from the first failure within which a pause must end. A job waits as long as a limit is locked."""
        if isinstance(error, RateLimited) and self._retry_timeout >= DEFAULT_RETRY_TIMEOUT:
            return self._retry_timeout + MAX_RETRY_AFTER
        return self._retry_timeout

    @property
    def failures(self) -> int:
        """How often this call has failed so far."""
        return self._failures

    def wait_or_raise(self, error: PlatformError, *, pause: float | None = None) -> None:
        """Return after the pause before the next attempt; raise `error` if the retry timeout is over, or would be then.

        pause: seconds that the platform asks for, kept exactly; None = 1 s doubling to 30 s (3 s after an unreadable
        answer), of which the second half is random, so that workers do not retry all at once. After RateLimited it is
        MIN_RETRY_AFTER at least.
        After an unreadable answer there are MAX_UNREADABLE_ANSWERS retries at most: a platform that answers, but always
        the same, does not get better by waiting.
        """
        now = self._clock()
        unreadable = isinstance(error, Unavailable) and error.category == "PLATFORM_ERROR"
        if unreadable:
            if self._unreadable >= MAX_UNREADABLE_ANSWERS:
                raise error
            self._unreadable += 1
        if self._failures == 0:
            self._first_failure = now
        elif now - self._first_failure >= self._retry_timeout:
            raise error
        if pause is not None and now + pause > self._first_failure + self._patience(error):
            raise error
        error.retry_after = pause
        if pause is None:
            # The exponent is bounded because 2.0 to the power of a long outage overflows.
            longest = _LONGEST_UNREADABLE_PAUSE if unreadable else LONGEST_PAUSE
            ceiling = min(longest, FIRST_PAUSE * 2.0 ** min(self._failures, 10))
            pause = ceiling * (0.5 + 0.5 * self._jitter())
        if isinstance(error, RateLimited):
            pause = max(pause, MIN_RETRY_AFTER)
        self._failures += 1
        _log.info("platform call repeated", code=error.code, reason=error.message, pause=pause, failures=self._failures)
        if pause > 0:
            # The error itself, not its words: a job that waits for too long ends with it.
            self._wait(pause, error)
