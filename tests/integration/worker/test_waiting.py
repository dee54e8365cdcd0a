"""Jobs that wait for long give their thread back, and end when they have waited or run for too long."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from job_events.events import Finished, Progress, Started
from job_events.job_types import JOB_TYPES, Policy
from platforms.buckets import RateBuckets, WindowRule
from platforms.errors import PlatformError, RateLimited, Unavailable
from platforms.migrate import migrate as migrate_platforms
from platforms.retry import Retrying
from service_kit.database import open_pool
from worker.job import RunningJob
from worker.job_result import JobResult, result_from_category

WaitUntil = Callable[..., None]
PULL, OTHER = "PULL_NHANH_PRODUCTS", "PULL_NHANH_CUSTOMERS"
PROCESS = Path(__file__).with_name("worker_process.py")
STATE = "select state, attempt, deferrals, crashes, failures, suspect from inbox"


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`policy(deadline=…)` for the pulls of this module."""

    def set_policy(job_type: str = PULL, **fields: Any) -> None:
        known = JOB_TYPES[job_type]
        monkeypatch.setitem(JOB_TYPES, job_type, replace(known, policy=replace(known.policy, **fields)))

    return set_policy


def update(bench: Any, statement: str) -> None:
    with psycopg.connect(bench.database_url, options="-c search_path=puller") as connection:
        assert connection.execute(statement).rowcount > 0  # pyright: ignore[reportArgumentType, reportCallIssue]


def result_of(error: Exception) -> JobResult | None:
    return result_from_category(error.category, error.code, error.message) if isinstance(error, PlatformError) else None


def any_account(_tenant: str, _account: str) -> bool:
    return True


def test_twenty_throttled_accounts_keep_no_thread_from_the_twenty_first(bench: Any, wait_until: WaitUntil) -> None:
    migrate_platforms(bench.database_url)
    throttled = [f"throttled-{n}" for n in range(20)]
    with open_pool(bench.database_url, "puller", 4) as pool:
        buckets = RateBuckets(pool, time.time)
        for account in throttled:
            buckets.lock(f"bucket of {account}", time.time() + 3000)

        def work(job: RunningJob) -> JobResult | None:
            buckets.take_call(f"bucket of {job.account}", WindowRule(limit=10, seconds=1.0), job.wait)
            with job.checkpoint() as checkpoint:
                checkpoint.counters.count(successful=1)
            return None

        asleep = [bench.request(account=account, priority="urgent") for account in throttled]
        with bench.running({PULL: work}, threads=4, known_account=any_account):
            wait_until(lambda: len(bench.rows("select from inbox where deferrals = 1 and state = 'queued'")) == 20)
            last = bench.request(account="free")
            wait_until(lambda: bench.end_of(last))
            sleeping = "select count(*) from inbox where state = 'queued' and attempt = 1 and not_before > now()"
            assert bench.rows(f"{sleeping} + interval '40 minutes'") == [(20,)]
            assert bench.end_of(last).data.outcome == "success"
            assert not [job_id for job_id in asleep if bench.end_of(job_id)]
            # People see what each of them waits for, and until when.
            reasons = bench.rows("select account, deferred_reason from api_inbox where not_before is not null")
            assert set(reasons) == {(account, f"rate limit of bucket of {account}") for account in throttled}
            wait_until(
                lambda: all(
                    any(event.data.phase.startswith("waiting: rate limit of") for event in bench.events(job, Progress))
                    for job in asleep
                )
            )
            # A cancelled one ends at once, and a paused one sleeps on beyond its time.
            bench.control("cancel", asleep[0])
            wait_until(lambda: bench.end_of(asleep[0]))
            assert (bench.end_of(asleep[0]).data.outcome, bench.end_of(asleep[0]).data.attempt) == ("cancelled", 1)
            bench.control("pause", asleep[1])
            wait_until(lambda: bench.rows(f"select from inbox where job_id = '{asleep[1]}' and paused"))
            with pool.connection() as connection:
                connection.execute("delete from accounts.rate_bucket")
            awake = f"where job_id in ('{asleep[1]}', '{asleep[2]}')"
            update(bench, f"update inbox set not_before = now() - interval '1 second' {awake}")
            wait_until(lambda: bench.end_of(asleep[2]))
            wait_until(lambda: bench.rows(f"select from inbox where job_id = '{asleep[1]}' and not_before is null"))
            assert bench.end_of(asleep[2]).data.attempt == 2
            assert bench.end_of(asleep[1]) is None
            bench.control("resume", asleep[1])
            wait_until(lambda: bench.end_of(asleep[1]))
    assert bench.end_of(asleep[1]).data.outcome == "success"


def test_a_deferral_outlives_its_process_and_is_no_crash(bench: Any, wait_until: WaitUntil, tmp_path: Path) -> None:
    go = tmp_path / "go"
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
        "DATABASE_URL": bench.database_url,
        "JOBTRAIL_TOPIC_PREFIX": bench.topics.prefix,
        "TEST_GO": str(go),
    }
    job_id = bench.request(params={"query": "defer"})
    with subprocess.Popen([sys.executable, str(PROCESS)], env=environment) as process:
        wait_until(lambda: bench.rows("select from inbox where state = 'queued' and deferrals = 1"))
        process.send_signal(signal.SIGKILL)
    go.touch()
    with subprocess.Popen([sys.executable, str(PROCESS)], env=environment) as process:
        marker = bench.request(OTHER, params={"query": "wait"})
        wait_until(lambda: bench.end_of(marker))  # the second process runs jobs, and not the one that sleeps
        assert bench.rows(f"{STATE} where job_id = '{job_id}'") == [("queued", 1, 1, 0, 0, False)]
        update(bench, f"update inbox set not_before = now() where job_id = '{job_id}'")
        wait_until(lambda: bench.end_of(job_id))
        process.terminate()
    assert (bench.end_of(job_id).data.outcome, bench.end_of(job_id).data.attempt) == ("success", 2)


def test_a_platform_that_is_down_ends_the_job_with_its_own_error(
    bench: Any, wait_until: WaitUntil, policy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.deferral.PATIENCE", 0.1)
    policy(retry_timeout=timedelta(seconds=4), longest_backoff=timedelta(seconds=2))
    policy(OTHER, retry_timeout=timedelta(seconds=4), longest_backoff=timedelta(seconds=2))

    def down(job: RunningJob) -> JobResult | None:
        if job.type == OTHER:
            # Progress, however little, begins the wait anew.
            with job.checkpoint() as checkpoint:
                checkpoint.cursor = job.attempt
            if job.attempt == 7:
                return None
        retrying = Retrying(job.wait, time.time, 1800)
        while True:
            retrying.wait_or_raise(Unavailable("503", "the shop is down for repairs"))

    with bench.running({PULL: down, OTHER: down}, result_from_error=result_of):
        job_id, moving = bench.request(), bench.request(OTHER)
        wait_until(lambda: bench.end_of(job_id) and bench.end_of(moving))
    end: Finished = bench.end_of(job_id)
    assert end.data.error is not None
    assert (end.data.outcome, end.data.error.category, end.data.error.code) == ("error", "NETWORK_ERROR", "503")
    assert end.data.error.message == "the shop is down for repairs"
    assert 3 <= end.data.attempt <= 8
    assert (bench.end_of(moving).data.outcome, bench.end_of(moving).data.attempt) == ("success", 7)


def test_a_time_that_a_platform_names_is_kept_exactly(
    bench: Any, wait_until: WaitUntil, policy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.deferral.PATIENCE", 0.1)
    policy(longest_backoff=timedelta(seconds=1))
    attempts: list[float] = []

    def locked(job: RunningJob) -> JobResult | None:
        attempts.append(time.monotonic())
        if job.attempt < 3:
            error = RateLimited("ERR_429", "locked", until=time.time() + 2.5)
            Retrying(job.wait, time.time, 1800).wait_or_raise(error, pause=2.5)
        return None

    with bench.running({PULL: locked}, result_from_error=result_of):
        job_id = bench.request()
        told = "select from inbox where deferrals = 1 and not_before - waiting_since = interval '2.5 seconds'"
        wait_until(lambda: bench.rows(told))
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.outcome == "success"
    assert [later - earlier >= 2.5 for earlier, later in pairwise(attempts)] == [True, True]
    assert len(bench.events(job_id, Started)) == 3


def test_the_deadline_counts_the_running_time_of_all_attempts_and_no_sleep(
    bench: Any, wait_until: WaitUntil, policy: Callable[..., None]
) -> None:
    policy(deadline=timedelta(seconds=1.5))
    policy(OTHER, deadline=timedelta(seconds=0.3))
    begun: list[int] = []

    def slow(job: RunningJob) -> JobResult | None:
        begun.append(job.attempt)
        if job.attempt == 1 and job.type == PULL:
            job.pause_between_polls(0.7, "agents")
            job.wait(3.5, "rate limit")
        while True:
            job.wait(0.05, "the test")

    with bench.running({PULL: slow, OTHER: slow}):
        job_id, short = bench.request(), bench.request(OTHER)
        wait_until(lambda: bench.end_of(job_id) and bench.end_of(short))
    for one, attempts in ((job_id, 2), (short, 1)):
        end = bench.end_of(one).data
        assert (end.outcome, end.error.category, end.error.code) == ("timeout", "TIMEOUT", "DEADLINE")
        assert end.attempt == attempts
    assert bench.end_of(job_id).data.duration_ms >= 1500
    assert sorted(begun) == [1, 1, 2]


def test_a_lock_of_postgresql_defers_and_counts_as_no_refusal(
    bench: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.job.PATIENCE", 0.2)
    monkeypatch.setattr("worker.attempt.PATIENCE", 0.2)

    def work(job: RunningJob) -> JobResult | None:
        with job.checkpoint() as checkpoint:
            checkpoint.connection.execute("select pg_advisory_xact_lock(77)")
            checkpoint.counters.count(successful=1)
        return None

    with psycopg.connect(bench.database_url) as holder, bench.running({PULL: work}, threads=1):
        holder.execute("select pg_advisory_xact_lock(77)")
        job_id = bench.request()
        wait_until(lambda: bench.rows("select from inbox where deferrals >= 2"))
        assert bench.rows("select failures, crashes from inbox") == [(0, 0)]
        assert "lock" in bench.rows("select coalesce(max(deferred_reason), 'lock') from inbox")[0][0]
        holder.rollback()
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.outcome == "success"


def test_work_of_several_calls_finishes_though_each_attempt_begins_anew(
    bench: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket gives one call a second, and the work needs four between two checkpoints."""
    monkeypatch.setattr("worker.deferral.PATIENCE", 0.3)
    migrate_platforms(bench.database_url)
    rule = WindowRule(limit=1, seconds=0.9, lease_seconds=0.1)
    with open_pool(bench.database_url, "puller", 4) as pool:
        buckets = RateBuckets(pool, time.time)

        def work(job: RunningJob) -> JobResult | None:
            for _ in range(4):
                buckets.take_call("slow", rule, job.wait)
            with job.checkpoint() as checkpoint:
                checkpoint.counters.count(successful=1)
            return None

        with bench.running({PULL: work}):
            job_id = bench.request()
            wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id).data
    assert (end.outcome, end.counters.processed) == ("success", 1)
    assert 2 <= end.attempt <= 6


def test_a_section_that_a_deferral_would_repeat_waits_in_its_thread(
    bench: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.deferral.PATIENCE", 0.1)
    inside, told = threading.Event(), Policy().longest_backoff
    assert told > timedelta(seconds=1)

    def work(job: RunningJob) -> JobResult | None:
        with job.keeping_thread():
            job.wait(1.0, "rate limit")
            inside.set()
        job.wait(1.0, "rate limit")
        return None

    with bench.running({PULL: work}):
        job_id = bench.request()
        wait_until(lambda: bench.rows("select from inbox where deferrals = 1"))
        assert inside.is_set()
        bench.control("cancel", job_id)
        wait_until(lambda: bench.end_of(job_id))
