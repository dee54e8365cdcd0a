"""Temporary refusals of PostgreSQL are retried a bounded number of times; for a lost connection the service waits."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors

from service_kit.database import is_away, is_transient, open_pool
from worker.eligibility import DEFAULT_POLICY
from worker.job import RunningJob
from worker.job_result import JobResult

MAX_ATTEMPTS = DEFAULT_POLICY.attempts

WaitUntil = Callable[..., None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.attempt.RETRY_SECONDS", 0.05)


def refuse(job: RunningJob, state: str) -> None:
    with job.checkpoint() as checkpoint:
        checkpoint.connection.execute(f"do $$ begin raise 'refused by the test' using errcode = '{state}'; end $$")  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize("state", ["40P01", "40001", "57014", "53100", "53200", "58030", "25006"])
def test_a_lasting_refusal_ends_the_job_with_its_sqlstate(bench: Any, wait_until: WaitUntil, state: str) -> None:
    def work(job: RunningJob) -> JobResult | None:
        refuse(job, state)
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id).data
    assert (end.outcome, end.error.category, end.error.code, end.attempt) == ("error", "INTERNAL", state, MAX_ATTEMPTS)
    assert "refused by the test" in end.error.message and state in end.error.message


def test_a_temporary_refusal_costs_an_attempt_and_progress_resets_the_count(bench: Any, wait_until: WaitUntil) -> None:
    def work(job: RunningJob) -> JobResult | None:
        if job.attempt % MAX_ATTEMPTS == 0:
            with job.checkpoint() as checkpoint:
                checkpoint.counters.count(successful=1)
                checkpoint.cursor = job.attempt
        if job.attempt < 2 * MAX_ATTEMPTS:
            refuse(job, "40P01")
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id).data
    assert (end.outcome, end.attempt, end.counters.processed) == ("success", 2 * MAX_ATTEMPTS, 2)


def test_a_lost_connection_never_counts_as_a_refusal(bench: Any, wait_until: WaitUntil) -> None:
    def work(job: RunningJob) -> JobResult | None:
        if job.attempt <= MAX_ATTEMPTS + 1:
            with job.checkpoint() as checkpoint:
                checkpoint.connection.execute("select pg_terminate_backend(pg_backend_pid())")
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.outcome == "success"
    assert bench.rows("select crashes, failures, suspect from inbox") == [(0, 0, False)]


def test_the_end_of_a_job_is_written_after_temporary_refusals(bench: Any, wait_until: WaitUntil) -> None:
    runs: list[int] = []

    def work(job: RunningJob) -> JobResult | None:
        runs.append(job.attempt)
        with psycopg.connect(bench.database_url, options="-c search_path=puller") as connection:
            connection.execute("create sequence refusals")
            connection.execute(
                "create function refuse() returns trigger language plpgsql as $$ begin if new.state = 'finished' and"
                " nextval('refusals') < 4 then raise 'full' using errcode = '53100'; end if; return new; end $$"
            )
            connection.execute("create trigger refuse before update on inbox for each row execute function refuse()")
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
    assert (bench.end_of(job_id).data.outcome, runs) == ("success", [1])


@pytest.mark.parametrize(("state", "lasts"), [("40P01", False), ("55P03", False), ("40P01", True), ("23514", True)])
def test_a_request_is_stored_after_temporary_refusals_and_ends_after_a_lasting_one(
    bench: Any, wait_until: WaitUntil, state: str, lasts: bool
) -> None:
    last = 100_000 if lasts else 4
    with psycopg.connect(bench.database_url, options="-c search_path=puller") as connection:
        connection.execute("create sequence refusals")
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin if new.account = 'strange' and"  # pyright: ignore[reportArgumentType, reportCallIssue]
            f" new.state = 'queued' and nextval('refusals') < {last} then raise 'no' using errcode = '{state}'; end if;"
            " return new; end $$"
        )
        connection.execute("create trigger refuse before insert on inbox for each row execute function refuse()")

    def work(_job: RunningJob) -> JobResult | None:
        return None

    odd = bench.request(account="strange")
    with bench.running({"PULL_NHANH_PRODUCTS": work}, known_account=lambda _tenant, _account: True):
        good = bench.request()
        wait_until(lambda: bench.end_of(odd) and bench.end_of(good))
        assert bench.end_of(good).data.outcome == "success"
        end = bench.end_of(odd).data
        if lasts:
            assert (end.outcome, end.error.category, end.error.code) == ("error", "INTERNAL", state)
            wait_until(bench.dead_letters)
        else:
            assert (end.outcome, bench.dead_letters()) == ("success", [])


def test_a_full_disk_makes_no_dead_letter_of_requests(bench: Any, wait_until: WaitUntil) -> None:
    with psycopg.connect(bench.database_url, options="-c search_path=puller") as connection:
        connection.execute("create sequence refusals")
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin if nextval('refusals') < 5 then"
            " raise 'could not extend file' using errcode = '53100'; end if; return new; end $$"
        )
        connection.execute("create trigger refuse before insert on inbox for each row execute function refuse()")
    job_id = bench.request()
    with bench.running({"PULL_NHANH_PRODUCTS": lambda _job: None}):
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.outcome == "success"
    assert bench.dead_letters() == []


def test_which_errors_mean_that_postgresql_is_away(database_url: str) -> None:
    away = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.ConnectionFailure)
    away += (errors.TooManyConnections, errors.IdleInTransactionSessionTimeout)
    transient = (errors.DeadlockDetected, errors.SerializationFailure, errors.QueryCanceled, errors.LockNotAvailable)
    transient += (errors.DiskFull, errors.OutOfMemory, errors.IoError, errors.ReadOnlySqlTransaction)
    lasting = (errors.UniqueViolation, errors.ProgramLimitExceeded, errors.UndefinedTable, errors.InvalidPassword)
    assert [(is_away(e("x")), is_transient(e("x"))) for e in away] == [(True, False)] * len(away)
    assert [(is_away(e("x")), is_transient(e("x"))) for e in transient] == [(False, True)] * len(transient)
    assert [(is_away(e("x")), is_transient(e("x"))) for e in lasting] == [(False, False)] * len(lasting)
    with pytest.raises(psycopg.Error) as refused:
        psycopg.connect("postgresql://127.0.0.1:1/none", connect_timeout=2)
    assert is_away(refused.value)
    with open_pool(database_url, "public", 1) as pool:
        with pool.connection() as connection:
            connection.execute("set statement_timeout = 20")
            with pytest.raises(psycopg.Error) as slow:
                connection.execute("select pg_sleep(60)")
            connection.rollback()
        assert (is_away(slow.value), is_transient(slow.value)) == (False, True)
        with pool.connection(), pytest.raises(psycopg.Error) as full, pool.connection(timeout=0.05):
            pass
        assert is_away(full.value)
