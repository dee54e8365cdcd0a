"""How long a deferred job sleeps, and when it has waited for long enough. Without a clock."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_events.job_types import Policy
from worker.deferral import LONGEST_PATIENCE, PATIENCE, defer, patience
from worker.eligibility import PRIORITIES, time_to_urgent
from worker.errors import JobDeferred

POLICY = Policy(retry_timeout=timedelta(minutes=30), longest_backoff=timedelta(minutes=1))


def deferred(seconds: float, *, exact: bool, error: Exception | None = None) -> JobDeferred:
    made = JobDeferred(seconds, "503: down", exact=exact)
    made.__cause__ = error
    return made


def waits(seconds: float, *, exact: bool, error: Exception | None) -> list[float]:
    """The sleeps of a job that makes no progress, until it ends."""
    found, waited_ms = list[float](), 0
    while len(found) < 1000:
        made = defer(
            deferred(seconds, exact=exact, error=error), POLICY, deferrals=len(found), waited_ms=waited_ms, held_ms=0
        )
        if made is None:
            return found
        found.append(made.wait.total_seconds())
        waited_ms += made.waited_ms
    raise AssertionError("it never ends")


def test_the_pause_of_a_client_doubles_up_to_the_longest_backoff_and_ends_with_the_retry_timeout() -> None:
    found = waits(4, exact=False, error=RuntimeError())
    assert found[:6] == [4, 8, 16, 32, 60, 60]
    assert 1800 <= sum(found) < 1800 + 60


@pytest.mark.parametrize("error", [None, RuntimeError()])
def test_a_time_that_the_platform_named_is_kept_exactly_however_long_but_not_for_ever(error: Exception | None) -> None:
    assert waits(3600, exact=True, error=error) == [3600] * 30
    assert waits(700.5, exact=True, error=error) == [700.5] * 30
    assert len(waits(31, exact=True, error=error)) == 59


def test_a_lock_longer_than_the_retry_timeout_ends_neither_the_job_nor_its_next_wait() -> None:
    for held_ms in (0, 400):
        made = defer(
            deferred(2400, exact=True, error=RuntimeError()), POLICY, deferrals=0, waited_ms=0, held_ms=held_ms
        )
        assert made is not None
        again = deferred(7, exact=True, error=None)
        assert defer(again, POLICY, deferrals=1, waited_ms=made.waited_ms, held_ms=0) is not None


def test_what_the_attempt_waited_in_its_thread_counts() -> None:
    once = deferred(4, exact=False, error=RuntimeError())
    assert defer(once, POLICY, deferrals=1, waited_ms=1_799_000, held_ms=500) is not None
    assert defer(once, POLICY, deferrals=1, waited_ms=1_799_000, held_ms=1000) is None


@given(st.integers(0, 10_000), st.booleans())
def test_patience_grows_for_limits_and_stays_for_errors(deferrals: int, keeping: bool) -> None:
    for_limit = patience(deferrals, for_error=False, keeping=keeping)
    assert PATIENCE <= for_limit <= LONGEST_PATIENCE
    assert for_limit <= patience(deferrals + 1, for_error=False, keeping=keeping)
    assert patience(deferrals, for_error=True, keeping=False) == PATIENCE
    # From the fifth on no bucket, which makes a call wait for half a minute at most, defers it again.
    assert deferrals < 5 or for_limit == LONGEST_PATIENCE


@pytest.mark.parametrize("job_type", ["PULL_NHANH_PRODUCTS", "OF_TOMORROW"])
def test_each_priority_is_one_ageing_nearer_to_urgent(job_type: str) -> None:
    steps = [time_to_urgent(job_type, priority) for priority in PRIORITIES.values()]
    assert steps == [n * Policy().ageing for n in (3, 2, 1, 0)]
