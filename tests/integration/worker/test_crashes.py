"""Jobs that crash their worker process repeatedly, and the jobs beside them. With real processes."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from job_events.events import Finished, Started
from worker.eligibility import DEFAULT_POLICY
from worker.job import RunningJob
from worker.job_result import JobResult

MAX_ATTEMPTS = DEFAULT_POLICY.attempts

WaitUntil = Callable[..., None]
PROCESS = Path(__file__).with_name("worker_process.py")
NEIGHBOURS = ("PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_PRODUCTS", "PULL_SHOPIFY_CUSTOMERS")
CRASHED = 70


class Supervisor:
    """Starts the worker process again whenever it ends."""

    def __init__(self, bench: Any, go: Path) -> None:
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bench.kafka,
            "DATABASE_URL": bench.database_url,
            "JOBTRAIL_TOPIC_PREFIX": bench.topics.prefix,
            "TEST_GO": str(go),
        }
        self.crashes = 0
        self.others: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with subprocess.Popen([sys.executable, str(PROCESS)], env=self.environment) as process:
                while process.poll() is None:
                    if self._stop.wait(0.1):
                        process.terminate()
                        process.wait(60)
                code = process.wait()
            if code == CRASHED:
                self.crashes += 1
            elif code != 0:
                self.others.append(code)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(90)


@pytest.fixture
def supervised(bench: Any, tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(bench, tmp_path / "go")
    yield supervisor
    supervisor.stop()
    assert supervisor.others == []


@pytest.mark.long
@pytest.mark.parametrize("neighbour", ["step", "wait"])
def test_a_job_that_crashes_its_process_ends_as_poison_and_other_jobs_succeed(
    bench: Any, supervised: Supervisor, wait_until: WaitUntil, tmp_path: Path, neighbour: str
) -> None:
    innocent = [bench.request(kind, params={"query": neighbour}) for kind in NEIGHBOURS]
    if neighbour == "step":
        wait_until(lambda: len(bench.rows("select 1 from inbox where stepped")) == len(innocent))
    else:
        wait_until(lambda: len(bench.rows("select 1 from inbox where state = 'running'")) == len(innocent))
    guilty = bench.request(params={"query": "crash"}, priority="urgent")
    # A suspect has its process for itself until it makes a step or ends.
    wait_until(lambda: bench.end_of(guilty) if neighbour == "step" else supervised.crashes)
    (tmp_path / "go").touch()
    wait_until(lambda: bench.end_of(guilty))
    wait_until(lambda: all(bench.end_of(job_id) for job_id in innocent))
    end = bench.end_of(guilty).data
    assert (end.outcome, end.error.category, end.error.code) == ("error", "INTERNAL", "POISON_JOB")
    assert "5 attempts in a row" in end.error.message
    assert [bench.end_of(job_id).data.outcome for job_id in innocent] == ["success"] * 3
    # One with its neighbours, which is charged to nobody, and those that it made alone.
    assert supervised.crashes == MAX_ATTEMPTS + 1
    assert end.attempt == len({event.data.attempt for event in bench.events(guilty, Started)}) == MAX_ATTEMPTS + 1


@pytest.mark.long
def test_a_job_alone_in_its_process_ends_after_five_attempts(
    bench: Any, supervised: Supervisor, wait_until: WaitUntil
) -> None:
    guilty = bench.request(params={"query": "crash"})
    wait_until(lambda: bench.end_of(guilty))
    assert bench.end_of(guilty).data.attempt == MAX_ATTEMPTS
    assert supervised.crashes == MAX_ATTEMPTS


def expire(bench: Any) -> int:
    """What the death of the process, or a long pause, looks like to everybody else."""
    with psycopg.connect(bench.database_url) as connection:
        return connection.execute(
            "update puller.inbox set lease_owner = 'gone' || attempt, lease_until = now() - interval '1 second' "
            "where state = 'running'"
        ).rowcount


def test_only_a_checkpoint_with_progress_resets_the_crash_count(bench: Any, wait_until: WaitUntil) -> None:
    ready, again = threading.Event(), threading.Event()
    steps = {3}

    def work(job: RunningJob) -> JobResult | None:
        with job.checkpoint() as checkpoint:
            checkpoint.counters.metadata["tries"] = job.attempt  # no step: nothing was done
            checkpoint.counters.total = 10
            if job.attempt in steps:
                checkpoint.cursor = job.attempt
        ready.set()
        job.pause_between_polls(600, "the test")
        again.wait(1)
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        counts: list[int] = []
        for attempt in range(1, 9):
            wait_until(
                lambda attempt=attempt: bench.rows(
                    f"select 1 from inbox where state = 'running' and attempt = {attempt}"
                    f" and tally #>> '{{metadata,tries}}' = '{attempt}'"
                )
            )
            ((crashes,),) = bench.rows("select crashes from inbox")
            counts.append(crashes)
            assert expire(bench) == 1
        wait_until(lambda: bench.end_of(job_id))
    assert counts == [0, 1, 0, 0, 1, 2, 3, 4]
    assert bench.end_of(job_id).data.error.code == "POISON_JOB"


def test_no_crash_is_counted_for_requeued_jobs(bench: Any, wait_until: WaitUntil) -> None:
    def work(job: RunningJob) -> JobResult | None:
        job.pause_between_polls(600, "the test")
        return None

    for attempt in range(1, MAX_ATTEMPTS + 3):
        with bench.running({"PULL_NHANH_PRODUCTS": work}):
            if attempt == 1:
                bench.request()
            wait_until(
                lambda attempt=attempt: bench.rows(
                    f"select 1 from inbox where state = 'running' and attempt >= {attempt}"
                )
            )
        assert bench.rows("select state, crashes, failures, suspect from inbox") == [("queued", 0, 0, False)]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_stored_request_that_cannot_be_read_ends_its_job_and_no_process(
    bench: Any, wait_until: WaitUntil, cancelled: bool
) -> None:
    done: list[str] = []

    def work(job: RunningJob) -> JobResult | None:
        done.append(job.id)
        return None

    with psycopg.connect(bench.database_url) as connection:
        for number, request in enumerate(("{", '{"type": "job.requested.v1"}', "[" * 2000)):
            connection.execute(
                "insert into puller.inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request,"
                " cancel_requested) values (%s, 't', 'shop', 'PULL_NHANH_PRODUCTS', 'c', 1, now(), %s, %s)",
                [f"bad-{number}", request, "no more" if cancelled else None],
            )
    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        good = bench.request()
        wait_until(lambda: bench.end_of(good))
        wait_until(lambda: all(bench.end_of(f"bad-{number}") for number in range(3)))
    end: Finished = bench.end_of("bad-0")
    said = (end.data.outcome, end.data.error.code if end.data.error else None, end.tenant, end.data.job.account)
    assert said == (*(("cancelled", "CANCELLED") if cancelled else ("error", "POISON_JOB")), "t", "shop")
    assert done == [good]
