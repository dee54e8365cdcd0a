"""When a pull may mark records as gone, and when a list never ends."""

import pytest

from puller.completion import is_endless, plan_token, stopped, too_many_delisted
from worker.job_result import JobCounters


@pytest.mark.parametrize(
    ("missing", "known", "share", "floor", "stops"),
    [
        (0, 0, 0.2, 5, False),
        (5, 5, 0.2, 5, False),  # a shop of five: within the floor
        (6, 6, 0.2, 5, True),
        (6, 30, 0.2, 5, False),  # a fifth is not more than a fifth
        (7, 30, 0.2, 5, True),
        (29, 100, 0.29, 5, False),
        (30, 100, 0.29, 5, True),
        (1, 100, 0.0, 0, True),
        (100, 100, 1.0, 0, False),
        (49, 100, 0.5, 50, False),
    ],
)
def test_both_the_share_and_the_floor_must_be_exceeded(
    missing: int, known: int, share: float, floor: int, stops: bool
) -> None:
    assert too_many_delisted(missing, known, share, floor) is stops


def test_a_plans_token_is_the_jobs() -> None:
    assert plan_token("job-1") == plan_token("job-1") != plan_token("job-2")


@pytest.mark.parametrize(
    ("pages", "idle", "endless"),
    [(0, 0, False), (1, 1, False), (101, 100, False), (102, 101, False), (103, 102, True), (1000, 500, False)],
)
def test_a_list_may_come_twice_and_not_for_ever(pages: int, idle: int, endless: bool) -> None:
    assert is_endless(pages, idle) is endless


def test_a_pull_that_another_release_stopped_ends_without_a_plan_token() -> None:
    counters = JobCounters()
    counters.metadata["tooLarge"] = "30 of 40 known products are not listed any more"
    failure = stopped(counters)
    assert failure is not None and failure.code == "CHANGE_TOO_LARGE"
    assert failure.message.endswith("If they are, pull again.")
