"""Pauses grow, stay bounded and end with the retry timeout."""

from typing import Any

import pytest

from platforms.errors import RateLimited, Unavailable
from platforms.retry import MAX_RETRY_AFTER, MAX_UNREADABLE_ANSWERS, Retrying, bounded_retry_after

ERROR = Unavailable("503", "down")


def _fail_for_ever(retrying: Retrying) -> None:
    while True:
        retrying.wait_or_raise(ERROR)


def test_pauses_double_up_to_half_a_minute(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 200, jitter=lambda: 1.0)
    with pytest.raises(Unavailable):
        _fail_for_ever(retrying)
    assert [seconds for seconds, _ in fake_time.waits] == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
    assert 200 <= fake_time.waited < 230


def test_jitter_takes_up_to_half(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 10, jitter=lambda: 0.0)
    retrying.wait_or_raise(ERROR)
    assert fake_time.waits == [(0.5, "503: down")]


def test_a_requested_pause_is_kept_exactly(fake_time: Any) -> None:
    Retrying(fake_time.wait, fake_time.clock, 10).wait_or_raise(ERROR, pause=7.25)
    assert fake_time.waited == 7.25


def test_the_reason_of_a_wait_is_the_error_with_the_time_that_the_platform_named() -> None:
    reasons: list[object] = []
    retrying = Retrying(lambda _seconds, reason: reasons.append(reason), lambda: 0.0, 60)
    named, unnamed = Unavailable("503", "down"), Unavailable("503", "down")
    retrying.wait_or_raise(named, pause=7.25)
    retrying.wait_or_raise(unnamed)
    assert reasons == [named, unnamed]
    assert (named.retry_after, unnamed.retry_after) == (7.25, None)


def test_a_requested_pause_beyond_the_retry_timeout_is_not_begun(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 60)
    retrying.wait_or_raise(ERROR, pause=50.0)
    with pytest.raises(Unavailable):
        retrying.wait_or_raise(ERROR, pause=10.5)
    assert fake_time.waited == 50


@pytest.mark.parametrize(
    ("seconds", "pause"),
    [
        (4.5, 4.5),
        (0.0, 1.0),
        (0.2, 1.0),
        (-3.0, 1.0),
        (1e12, MAX_RETRY_AFTER),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_a_requested_pause_is_bounded(seconds: float, pause: float | None) -> None:
    assert bounded_retry_after(seconds) == pause


def test_the_retry_timeout_counts_from_the_first_failure(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 60)
    fake_time.now += 1000  # the call itself took long
    retrying.wait_or_raise(ERROR)
    fake_time.now += 61
    with pytest.raises(Unavailable):
        retrying.wait_or_raise(ERROR)


def test_a_retry_timeout_of_zero_still_allows_one_retry(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 0)
    retrying.wait_or_raise(ERROR)
    with pytest.raises(Unavailable):
        retrying.wait_or_raise(ERROR)


def test_a_very_long_outage_does_not_overflow(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 1e6, jitter=lambda: 1.0)
    for _ in range(2000):
        retrying.wait_or_raise(ERROR)
    assert fake_time.waits[-1][0] == 30


@pytest.mark.parametrize("pause", [0.0, 0.001, None])
def test_who_is_refused_for_calling_too_often_waits_a_second_at_least(fake_time: Any, pause: float | None) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 60, jitter=lambda: 0.0)
    retrying.wait_or_raise(RateLimited("429", "slow down", until=0.0), pause=pause)
    assert fake_time.waited == 1.0


def test_an_answer_without_sense_is_asked_for_a_few_times_only(fake_time: Any) -> None:
    retrying = Retrying(fake_time.wait, fake_time.clock, 1800, jitter=lambda: 1.0)
    nonsense = Unavailable("BAD_ENVELOPE", "data is null beside a next", category="PLATFORM_ERROR")
    for _ in range(MAX_UNREADABLE_ANSWERS):
        retrying.wait_or_raise(nonsense)
    with pytest.raises(Unavailable):
        retrying.wait_or_raise(nonsense)
    assert [seconds for seconds, _ in fake_time.waits] == [1, 2, 3, 3]
    retrying.wait_or_raise(ERROR)  # a platform that is away by then has its whole retry timeout
