"""What becomes of an attempt that would wait for longer than it may keep its thread. Pure.

The row sleeps instead (`not_before`). It wakes exactly when it was told to, or later and later where no time was
named. A job that has waited for its type's retry timeout without any progress ends with the error that makes it wait.
"""

from dataclasses import dataclass
from datetime import timedelta

from job_events.job_types import Policy
from worker.errors import JobDeferred

PATIENCE = 3.0
"""Seconds that an attempt waits in its thread; for longer it gives the thread back."""
LONGEST_PATIENCE = 60.0
"""Longer than a rate bucket makes a single call wait: so work of several calls between two checkpoints finishes."""
_LONGEST_COUNTED = 60.0
"""Seconds of one sleep that count toward the retry timeout."""
_PATIENCE_KEEPING = 15.0  # reached when one call has failed for about half a minute


@dataclass(frozen=True, slots=True)
class Deferral:
    """How long and why the row sleeps. waited_ms: what this wait adds to those in a row."""

    wait: timedelta
    reason: str
    waited_ms: int


def patience(deferrals: int, *, for_error: bool, keeping: bool) -> float:
    """Seconds that an attempt waits in its thread, after so many deferrals in a row without a step.

    For a limit it grows, because work between two checkpoints may need several calls, and begins anew after each
    deferral: if every attempt gave up at the second call, none would ever finish. For an error it does not, so that a
    platform that is down keeps no thread. keeping: the job is in a section that a deferral would repeat; it is repeated
    once or twice, and then waits in its thread.
    """
    if keeping and not for_error:
        return LONGEST_PATIENCE
    if for_error and not keeping:
        return PATIENCE
    first = _PATIENCE_KEEPING if keeping else PATIENCE
    return min(first * 2.0 ** min(deferrals, 10), LONGEST_PATIENCE)


def defer(deferred: JobDeferred, policy: Policy, *, deferrals: int, waited_ms: int, held_ms: int) -> Deferral | None:
    """The sleep of the row; None where the job has waited for the retry timeout.

    deferrals, waited_ms: of this job in a row without a step. held_ms: what this attempt has waited in its thread.
    """
    limit = policy.retry_timeout / timedelta(milliseconds=1)
    waited = waited_ms + held_ms
    if deferrals > 0 and waited >= limit:
        return None
    if deferred.exact:
        wait = deferred.seconds
    else:
        longest = policy.longest_backoff.total_seconds()
        wait = min(longest, deferred.seconds * 2.0 ** min(deferrals, 10))
    # A platform may lock for longer than the retry timeout; waiting as told must not end the job behind the lock.
    counted = min(wait, _LONGEST_COUNTED)
    return Deferral(timedelta(seconds=wait), deferred.reason[:512], round(counted * 1000) + held_ms)
