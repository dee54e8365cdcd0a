"""A cancel of a job that no inbox holds ends it, once; a true end of the job outweighs that."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from job_events.envelope import decode, encode
from job_events.events import (
    Cancel,
    ControlData,
    ControlTarget,
    Counters,
    Finished,
    FinishedData,
    JobInfo,
    Pause,
)
from job_events.fold import fold
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]
PULL = "PULL_NHANH_PRODUCTS"


def done(_job: RunningJob) -> JobResult | None:
    return None


def control(bench: Any, kind: Any, job_id: str, job: JobInfo | None, event_id: str = "c") -> None:
    more: Any = {} if job is None else {"job": job}
    data = ControlData(target=ControlTarget("job", job_id), requested_by="lan", reason="gone", **more)
    bench.send(
        bench.topics.requests("puller"), encode(bench.event(kind, f"{job_id}/{event_id}", job_id, data, "chain"))
    )


def settled(bench: Any, wait_until: WaitUntil) -> None:
    marker = bench.request()
    wait_until(lambda: bench.end_of(marker))


def test_a_job_that_nobody_holds_is_ended_once_however_often_it_is_cancelled(bench: Any, wait_until: WaitUntil) -> None:
    job = JobInfo(PULL, "shop", batch="b", about={"tool": "x"})
    with bench.running({PULL: done}):
        for number in range(3):
            control(bench, Cancel, "ghost", job, str(number))
        control(bench, Cancel, "unheard-of", JobInfo("PULL_OF_TOMORROW", "shop"))
        wait_until(lambda: bench.end_of("ghost") and bench.end_of("unheard-of"))
        settled(bench, wait_until)
    with bench.running({PULL: done}, group="replayed"):
        settled(bench, wait_until)
    assert len(bench.events("ghost", Finished)) == 1
    end = bench.end_of("ghost")
    assert (end.id, end.tenant, end.correlationid, end.data.job) == ("ghost/0/1", "t", "chain", job)
    assert (end.data.outcome, end.data.attempt, end.data.seq) == ("cancelled", 0, 1)
    assert (end.data.error.category, end.data.error.code) == ("CANCELLED", "UNKNOWN_TO_SERVICE")
    assert end.data.error.message == "this service holds no such job; ended by an operator"
    assert bench.dead_letters() == []


@pytest.mark.parametrize(
    ("kind", "job"), [(Cancel, None), (Pause, JobInfo(PULL, "shop")), (Cancel, JobInfo("PRODUCT_SYNC", "shop"))]
)
def test_what_does_not_describe_a_job_of_this_service_ends_nothing(
    bench: Any, wait_until: WaitUntil, kind: Any, job: JobInfo | None
) -> None:
    with bench.running({PULL: done}):
        control(bench, kind, "ghost", job)
        settled(bench, wait_until)
    assert bench.events("ghost") == []
    assert bench.rows("select 1 from inbox where job_id = 'ghost'") == []


def test_a_job_that_is_held_ends_as_itself(bench: Any, wait_until: WaitUntil) -> None:
    with bench.running({PULL: done}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
        control(bench, Cancel, job_id, JobInfo(PULL, "shop"))
        settled(bench, wait_until)
    assert len(bench.events(job_id, Finished)) == 1
    assert bench.end_of(job_id).data.outcome == "success"


def test_a_true_end_outweighs_that_of_a_job_which_the_inbox_has_forgotten(bench: Any, wait_until: WaitUntil) -> None:
    with bench.running({PULL: done}):
        control(bench, Cancel, "old", JobInfo(PULL, "shop"))
        wait_until(lambda: bench.end_of("old"))
    forgotten = bench.end_of("old")
    true = Finished(
        specversion="1.0",
        id="old/1/9",
        source="s",
        job_id="old",
        time=datetime.now(UTC),
        tenant="t",
        correlationid="chain",
        data=FinishedData(job=JobInfo(PULL, "shop"), attempt=1, seq=2, outcome="success", counters=Counters(3, 3, 3)),
    )
    for order in permutations([true, forgotten]):
        (row,) = fold([decode(encode(event)) for event in order]).values()  # pyright: ignore[reportArgumentType]
        assert (row.status, row.attempt, row.end.processed if row.end else 0) == ("COMPLETED", 1, 3)
