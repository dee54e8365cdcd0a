"""Which job follows which, when several chains share a name, clocks differ and requests are refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from job_events.chains import CHAINS
from job_events.envelope import decode, encode
from job_events.events import Counters, Finished, FinishedData, JobInfo, Outcome, Requested, Then
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]
NHANH, SHOPIFY, CHILD = "PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS", "PULL_NHANH_CUSTOMERS"
NOW = datetime.now(UTC)


def done(_job: RunningJob) -> JobResult | None:
    return None


def end(bench: Any, job_id: str, job_type: str, step: Then, **more: Any) -> None:
    """The end of a job that any service may have run."""
    outcome: Outcome = more.pop("outcome", "success")
    event = Finished(
        specversion="1.0",
        id=f"{job_id}/1/2",
        source="test",
        job_id=job_id,
        time=NOW + more.pop("later", timedelta()),
        tenant=more.pop("tenant", "t"),
        correlationid="nightly",
        data=FinishedData(
            job=JobInfo(job_type, more.pop("account", "shop")),
            attempt=1,
            seq=2,
            outcome=outcome,
            counters=Counters(),
            then=(step,),
            **more,
        ),
    )
    bench.send(bench.topics.events, encode(event), job_id.encode())


def children(bench: Any) -> list[Requested]:
    requests = map(decode, bench.messages(bench.topics.requests("puller")))
    return [event for event in requests if isinstance(event, Requested) and event.data.parents]


def test_chains_of_one_name_are_separate_by_tenant_and_account(bench: Any, wait_until: WaitUntil) -> None:
    step = Then(CHILD, (NHANH, SHOPIFY))
    end(bench, "a1", NHANH, step, tenant="a")
    end(bench, "b1", SHOPIFY, step, tenant="b")
    end(bench, "a2", SHOPIFY, step, tenant="a", account="other")
    with bench.running({CHILD: done}):
        wait_until(lambda: len(bench.rows("select 1 from chain_note")) == 3)
        end(bench, "a3", SHOPIFY, step, tenant="a")
        wait_until(lambda: children(bench))
    (child,) = children(bench)
    assert (child.tenant, child.data.job.account, child.data.parents) == ("a", "shop", ("a1", "a3"))


def test_a_retry_counts_although_the_clock_of_the_failed_worker_was_ahead(bench: Any, wait_until: WaitUntil) -> None:
    step = Then(CHILD, (NHANH,))
    with bench.running({CHILD: done}):
        end(bench, "first", NHANH, step, outcome="failure", later=timedelta(minutes=2))
        wait_until(lambda: bench.rows("select 1 from inbox where outcome = 'skipped'"))
        end(bench, "again", NHANH, step, later=timedelta(minutes=1))
        wait_until(lambda: children(bench))
    (child,) = children(bench)
    assert child.data.parents == ("again",)


def test_a_refused_request_skips_the_steps_behind_it(bench: Any, wait_until: WaitUntil) -> None:
    with bench.running({NHANH: done, CHILD: done}):
        refused = bench.request(NHANH, account="nobody", then=(Then(CHILD, (NHANH,)),))
        wait_until(lambda: bench.rows("select 1 from inbox where outcome = 'skipped'"))
    assert bench.end_of(refused).data.then == (Then(CHILD, (NHANH,)),)
    assert [name for (name,) in bench.rows("select job_type from inbox where outcome = 'skipped'")] == [CHILD]


def test_a_step_may_have_the_type_of_the_job_before_it(bench: Any, wait_until: WaitUntil) -> None:
    """As in the chain `incremental`: changed stock is read behind changed products, once."""
    pull = "INCREMENTAL_PULL"
    (step,) = CHAINS["incremental"].then
    with bench.running({pull: done}):
        for _ in range(2):
            end(bench, "products", pull, step)
        wait_until(lambda: bench.rows("select 1 from inbox where state = 'finished'"))
    (stock,) = children(bench)
    assert (stock.data.job.type, stock.data.params) == (pull, {"platform": "nhanh", "kind": "stock"})
    assert stock.data.parents == ("products",)
    assert bench.end_of(stock.job_id).data.then == step.then
