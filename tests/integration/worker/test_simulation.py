"""Simulated jobs in the real runtime: their events, items and ends, and what interrupts them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from job_events.envelope import decode
from job_events.events import ItemRecorded, Progress, Started
from job_events.job_types import JOB_TYPES
from worker.simulation import fails, simulations

WaitUntil = Callable[..., None]
PULL = "SIMULATE_PULL"


def items_of(bench: Any, job_id: str) -> list[ItemRecorded]:
    found = [decode(value) for value in bench.messages(bench.topics.items)]
    return [event for event in found if isinstance(event, ItemRecorded) and event.job_id == job_id]


def processed(bench: Any, job_id: str) -> int:
    return max((event.data.counters.processed for event in bench.events(job_id, Progress)), default=0)


def test_each_service_has_its_simulation() -> None:
    assert {name for service in ("puller", "matcher", "syncer") for name in simulations(service)} == {
        name for name in JOB_TYPES if name.startswith("SIMULATE_")
    }
    assert simulations("puller").keys() == {PULL}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.29, 0.5, 2 / 3, 1.0])
def test_the_failing_items_are_as_many_as_the_share_says(share: float) -> None:
    for count in (1, 10, 100):
        assert sum(fails(number, share) for number in range(count)) == round(count * share)


def test_it_counts_fails_and_ends_as_requested(bench: Any, wait_until: WaitUntil) -> None:
    """For an account that no shop is connected to, too; one with effects is refused there."""
    params = {"items": 250, "per_second": 0, "failed": 0.1}
    with bench.running(simulations("puller")):
        job = bench.request(PULL, account="nobody", params=params)
        failure = bench.request(PULL, params={"items": 3, "per_second": 0, "outcome": "failure"})
        error = bench.request(PULL, params={"items": 0, "outcome": "error"})
        empty = bench.request(PULL, params={"items": 0})
        real = bench.request(account="nobody")
        wait_until(lambda: all(map(bench.end_of, (job, failure, error, empty, real))))
        wait_until(lambda: len(items_of(bench, job)) == 25, "the items of the job")
    end = bench.end_of(job).data
    assert (end.outcome, end.counters.total, end.counters.processed) == ("partial", 250, 250)
    assert (end.counters.successful, end.counters.failed, end.counters.skipped) == (225, 25, 0)
    assert end.metadata["batches"] == 3
    assert {event.data.action for event in items_of(bench, job)} == {"failed"}
    assert bench.end_of(failure).data.outcome == "failure"
    assert bench.end_of(failure).data.counters.successful == 3
    assert (bench.end_of(error).data.outcome, bench.end_of(error).data.error.code) == ("error", "SIMULATED")
    assert (bench.end_of(empty).data.outcome, bench.end_of(empty).data.counters.total) == ("success", 0)
    assert "no account" in bench.end_of(real).data.error.message


def test_it_keeps_to_its_speed(bench: Any, wait_until: WaitUntil) -> None:
    with bench.running(simulations("puller")):
        job = bench.request(PULL, params={"items": 30, "per_second": 20})
        wait_until(lambda: bench.end_of(job))
    end = bench.end_of(job).data
    assert (end.outcome, end.counters.processed) == ("success", 30)
    assert end.duration_ms >= 1500
    assert len(bench.events(job, Progress)) >= 2


def test_a_later_attempt_continues_behind_the_items_that_are_done(bench: Any, wait_until: WaitUntil) -> None:
    params = {"items": 400, "per_second": 100, "failed": 0.1}
    with bench.running(simulations("puller")):
        job = bench.request(PULL, params=params)
        wait_until(lambda: processed(bench, job) > 0, "its first items")
        # What the death of its process looks like to everybody else.
        expire = "update puller.inbox set lease_owner = 'gone', lease_until = now() - interval '1 second'"
        with psycopg.connect(bench.database_url) as connection:
            assert connection.execute(expire).rowcount == 1
        wait_until(lambda: bench.end_of(job))
        wait_until(lambda: len(items_of(bench, job)) == 40, "its items")
    end = bench.end_of(job).data
    assert end.attempt > 1
    assert (end.counters.processed, end.counters.failed) == (400, 40)
    assert set(Counter(event.data.item for event in items_of(bench, job)).values()) == {1}


def test_it_is_paused_resumed_and_cancelled(bench: Any, wait_until: WaitUntil) -> None:
    def waits(job: str) -> bool:
        return (job,) in bench.rows("select job_id from inbox where lease_owner is null and outcome is null")

    with bench.running(simulations("puller")):
        slow = bench.request(PULL, account="other", params={"items": 1_000_000, "per_second": 20})
        short = bench.request(PULL, params={"items": 60, "per_second": 20})
        wait_until(lambda: processed(bench, slow) and processed(bench, short), "both jobs to run")
        bench.control("pause", short)
        wait_until(lambda: waits(short), "the pause")
        assert 0 < processed(bench, short) < 60
        bench.control("cancel", slow)
        wait_until(lambda: bench.end_of(slow), "the cancellation")
        assert bench.end_of(slow).data.outcome == "cancelled"
        assert bench.end_of(short) is None
        bench.control("resume", short)
        wait_until(lambda: bench.end_of(short), "the end")
    assert bench.end_of(short).data.counters.processed == 60
    assert len(bench.events(short, Started)) == 2
