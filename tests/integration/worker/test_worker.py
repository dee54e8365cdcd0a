"""The worker loop under replays, kills, control messages and bad input, on real Kafka and PostgreSQL."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from confluent_kafka import TopicPartition

from job_events.envelope import decode
from job_events.events import Progress, Requested, Started
from service_kit import kafka as clients
from worker.errors import Interrupted, JobFailed, LeaseLost
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]


def three_pages(job: RunningJob) -> JobResult | None:
    """Work in three pages with a cursor."""
    for number in range(job.cursor or 0, 3):
        with job.checkpoint() as checkpoint:
            checkpoint.counters.count(successful=10, created=10)
            checkpoint.cursor = number + 1
    return None


def test_a_job_runs_once_however_often_it_is_requested(bench: Any, wait_until: WaitUntil) -> None:
    runs: list[str] = []

    def work(job: RunningJob) -> JobResult | None:
        runs.append(job.id)
        return three_pages(job)

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        for _ in range(3):
            bench.request(job_id=job_id)
        wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id)
    assert (end.data.outcome, end.data.counters.processed, end.data.attempt) == ("success", 30, 1)
    assert end.data.metadata["created"] == 30
    assert runs == [job_id]
    assert len(bench.events(job_id, Started)) == 1
    # Another group reads everything from the beginning, as after a reset: nothing runs again.
    with bench.running({"PULL_NHANH_PRODUCTS": work}, group="replayed"):
        marker = bench.request()
        wait_until(lambda: bench.end_of(marker))
    assert runs == [job_id, marker]


def test_a_lease_that_ran_out_lets_the_next_attempt_resume_and_refuses_the_late_page(
    bench: Any, wait_until: WaitUntil
) -> None:
    first_page_written, go_on = threading.Event(), threading.Event()
    refused: list[BaseException] = []

    def stuck(job: RunningJob) -> JobResult | None:
        if job.attempt > 1:
            return three_pages(job)
        with job.checkpoint() as checkpoint:
            checkpoint.counters.count(successful=10)
            checkpoint.cursor = 1
        first_page_written.set()
        go_on.wait(120)
        try:
            with job.checkpoint() as checkpoint:
                checkpoint.counters.count(successful=1000)
                checkpoint.cursor = 2
        except LeaseLost as lost:
            refused.append(lost)
            raise
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": stuck}):
        job_id = bench.request()
        wait_until(first_page_written.is_set)
        # What a long pause of the process looks like to everybody else.
        expire = "update puller.inbox set lease_owner = 'gone', lease_until = now() - interval '1 second'"
        with psycopg.connect(bench.database_url) as connection:
            assert connection.execute(expire).rowcount == 1
        wait_until(lambda: bench.end_of(job_id))
        go_on.set()
        wait_until(lambda: refused)
    end = bench.end_of(job_id)
    assert (end.data.attempt, end.data.counters.processed) == (2, 30)
    assert {event.data.attempt for event in bench.events(job_id, Started)} == {1, 2}


def test_a_session_that_postgresql_ended_costs_an_attempt_and_no_process(bench: Any, wait_until: WaitUntil) -> None:
    """As it does with a process that was paused in the middle of a page."""

    def paused(job: RunningJob) -> JobResult | None:
        with job.checkpoint() as checkpoint:
            checkpoint.counters.count(successful=10)
            if job.attempt == 1:
                checkpoint.connection.execute("set local idle_in_transaction_session_timeout = '10ms'")
                alive = f"select 1 from pg_stat_activity where pid = {checkpoint.connection.info.backend_pid}"
                wait_until(lambda: not bench.rows(alive))
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": paused}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id)
    assert (end.data.outcome, end.data.attempt, end.data.counters.processed) == ("success", 2, 10)


def test_a_worker_told_to_stop_gives_the_job_back_at_its_checkpoint(bench: Any, wait_until: WaitUntil) -> None:
    written = threading.Event()

    def slow(job: RunningJob) -> JobResult | None:
        if job.attempt == 1:
            with job.checkpoint() as checkpoint:
                checkpoint.counters.count(successful=10)
                checkpoint.cursor = 1
            written.set()
            job.pause_between_polls(600, "a platform")
        return three_pages(job)

    # One thread: another that is just about to claim would take the job up at once, and give it back as well.
    with bench.running({"PULL_NHANH_PRODUCTS": slow}, threads=1):
        job_id = bench.request()
        wait_until(written.is_set)
    assert bench.end_of(job_id) is None
    assert bench.rows("select state, attempt, cursor from inbox") == [("queued", 1, 1)]
    with bench.running({"PULL_NHANH_PRODUCTS": slow}):
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.counters.processed == 30


def test_cancel_ends_a_running_job_and_one_that_never_began(bench: Any, wait_until: WaitUntil) -> None:
    waiting = threading.Event()

    def forever(job: RunningJob) -> JobResult | None:
        waiting.set()
        job.pause_between_polls(600, "the end")
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": forever}):
        running = bench.request()
        wait_until(waiting.is_set)
        queued = bench.request()  # one job of a type runs per account
        wait_until(lambda: len(bench.rows("select 1 from inbox")) == 2)
        bench.control("cancel", queued)
        wait_until(lambda: bench.end_of(queued))
        bench.control("cancel", running)
        wait_until(lambda: bench.end_of(running))
    assert (bench.end_of(queued).data.outcome, bench.end_of(queued).data.attempt) == ("cancelled", 0)
    assert (bench.end_of(running).data.outcome, bench.end_of(running).data.attempt) == ("cancelled", 1)
    assert bench.end_of(running).data.error.category == "CANCELLED"


@pytest.mark.parametrize("kind", ["job", "account", "queue"])
def test_pause_holds_a_job_where_it_is_and_resume_lets_it_go_on(bench: Any, wait_until: WaitUntil, kind: str) -> None:
    go = threading.Event()

    def work(job: RunningJob) -> JobResult | None:
        while not go.is_set():
            job.wait(0.05, "the test")
        return three_pages(job)

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.events(job_id, Started))
        bench.control("pause", job_id, kind)
        wait_until(lambda: bench.rows("select 1 from inbox where state = 'queued' and attempt = 1"))
        wait_until(lambda: "paused" in [event.data.phase for event in bench.events(job_id, Progress)])
        go.set()
        assert bench.end_of(job_id) is None
        bench.control("resume", job_id, kind)
        wait_until(lambda: bench.end_of(job_id))
    assert bench.end_of(job_id).data.attempt == 2


def test_bad_requests_end_visibly_and_the_consumer_goes_on(bench: Any, wait_until: WaitUntil) -> None:
    topic = bench.topics.requests("puller")
    with bench.running({"PULL_NHANH_PRODUCTS": three_pages}):
        bench.send(topic, b"\xff\xfe not json")
        bench.send(topic, None)
        unreadable = b'{"type":"job.requested.v1","subject":"job-77","data":{"job":{"type":"X","account":"shop"}}}'
        bench.send(topic, unreadable)
        bad_params = bench.request(params={"page_size": -1})
        other_service = bench.request("PRODUCT_SYNC")
        unknown_account = bench.request(account="nobody")
        nul = bench.request(params={"query": "a\0b"})
        good = bench.request()
        wait_until(lambda: bench.end_of(good))
        failed = ["job-77", bad_params, other_service, unknown_account, nul]
        wait_until(lambda: all(bench.end_of(job_id) for job_id in failed))
    for job_id in failed:
        end = bench.end_of(job_id)
        assert (end.data.outcome, end.data.error.category, end.data.attempt) == ("failure", "VALIDATION_FAILED", 0)
    # What nobody can read is the tracker's dead letter, so that one bad record makes one. An unknown type is kept.
    refused = [bad_params, other_service, unknown_account]
    wait_until(lambda: len(bench.dead_letters()) >= len(refused), "letters are missing")
    letters = bench.dead_letters()
    assert sorted(letter.subject for letter in letters) == sorted(refused)
    assert all(letter.data.value_bytes == len(letter.data.value) for letter in letters)
    reasons = " | ".join(letter.data.reason for letter in letters)
    for said in ("page_size", "run by syncer", "'nobody'"):
        assert said in reasons


def test_job_code_that_fails_ends_its_job_with_a_category(bench: Any, wait_until: WaitUntil) -> None:
    def refuse(_job: RunningJob) -> JobResult | None:
        raise JobFailed("INVALID_CREDENTIALS", "401", "the token is wrong")

    def break_(_job: RunningJob) -> JobResult | None:
        raise RuntimeError("secret=hunter2")

    with bench.running({"PULL_NHANH_PRODUCTS": refuse, "PULL_NHANH_CUSTOMERS": break_}):
        refused, broken = bench.request(), bench.request("PULL_NHANH_CUSTOMERS")
        wait_until(lambda: bench.end_of(refused) and bench.end_of(broken))
    assert bench.end_of(refused).data.outcome == "failure"
    assert bench.end_of(refused).data.error.category == "INVALID_CREDENTIALS"
    assert (bench.end_of(broken).data.outcome, bench.end_of(broken).data.error.category) == ("error", "INTERNAL")
    assert "hunter2" not in bench.end_of(broken).data.error.message


def test_items_leave_with_their_page_or_not_at_all(bench: Any, wait_until: WaitUntil) -> None:
    def work(job: RunningJob) -> JobResult | None:
        with job.checkpoint() as checkpoint:
            checkpoint.item("kept", "failed")
            checkpoint.counters.count(failed=1, successful=0)
        try:
            with job.checkpoint() as checkpoint:
                checkpoint.item("lost", "failed")
                raise ValueError("this page fails")
        except ValueError:
            pass
        with job.checkpoint() as checkpoint:
            checkpoint.counters.count(successful=1)
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
        wait_until(lambda: not bench.rows("select 1 from outbox"))
    wait_until(lambda: bench.messages(bench.topics.items), "no item")
    items = [value for value in bench.messages(bench.topics.items) if job_id.encode() in value]
    assert len(items) == 1 and b'"kept"' in items[0]
    assert bench.end_of(job_id).data.outcome == "partial"


def test_two_parents_make_one_child_though_their_ends_are_read_twice(
    bench: Any, wait_until: WaitUntil, then: Callable[..., Any]
) -> None:
    step = then("PULL_NHANH_CUSTOMERS", ["PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"])
    types = ("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS", "PULL_NHANH_CUSTOMERS")
    handlers = dict.fromkeys(types, three_pages)

    def children() -> list[Requested]:
        return [e for e in map(decode, bench.messages(bench.topics.requests("puller"))) if e.data.parents]

    with bench.running(handlers):
        one = bench.request(types[0], chain="chain-1", then=step)
        other = bench.request(types[1], chain="chain-1", then=step)
        wait_until(lambda: children() and bench.end_of(children()[0].job_id))
    (child,) = children()
    assert child.data.parents == tuple(sorted([one, other]))
    with bench.running(handlers, group="replayed"):
        marker = bench.request()
        wait_until(lambda: bench.end_of(marker))
        _caught_up(bench, "replayed", wait_until)
    assert len(children()) == 1
    # A retried parent is another parent: the chain goes on anew.
    with bench.running(handlers):
        bench.request(types[0], chain="chain-1", then=step, retryof=one)
        wait_until(lambda: len(children()) == 2)


def test_a_failed_parent_skips_the_child_and_what_follows_it(
    bench: Any, wait_until: WaitUntil, then: Callable[..., Any]
) -> None:
    def fail(_job: RunningJob) -> JobResult | None:
        raise JobFailed("NOT_FOUND", "404", "gone")

    step = then("PULL_NHANH_CUSTOMERS", ["PULL_NHANH_PRODUCTS"])
    with bench.running({"PULL_NHANH_PRODUCTS": fail, "PULL_NHANH_CUSTOMERS": three_pages}):
        parent = bench.request(then=step, chain="chain-2")
        wait_until(lambda: bench.end_of(parent))
        wait_until(lambda: bench.rows("select 1 from inbox where outcome = 'skipped'"))
        ((child,),) = bench.rows("select job_id from inbox where outcome = 'skipped'")
        wait_until(lambda: bench.end_of(child))
    assert "ended as failure" in bench.end_of(child).data.error.message


def test_interruptions_pass_through_job_code_as_a_kind_of_their_own() -> None:
    assert issubclass(LeaseLost, Interrupted)
    assert not issubclass(Interrupted, JobFailed)


def _caught_up(bench: Any, group: str, wait_until: WaitUntil) -> None:
    reader = clients.consumer(bench.kafka, f"{bench.topics.prefix}{group}", "lag")
    topics = [bench.topics.events, bench.topics.requests("puller")]

    def lag() -> int:
        behind = 0
        for topic in topics:
            for partition in reader.list_topics(topic, 120).topics[topic].partitions:
                (held,) = reader.committed([TopicPartition(topic, partition)], 120)
                _, high = reader.get_watermark_offsets(TopicPartition(topic, partition), 120)
                behind += high - max(held.offset, 0)
        return behind

    wait_until(lambda: lag() == 0)
    reader.close()
