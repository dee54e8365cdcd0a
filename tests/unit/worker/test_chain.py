"""Chains: the same parents give the same child, a retried parent another one, a failed parent a skipped one."""

from datetime import UTC, datetime, timedelta

from job_events.envelope import encode
from job_events.events import Counters, Finished, FinishedData, JobInfo, Requested, Then
from worker.chain import Parent, next_job

AT = datetime(2026, 11, 22, tzinfo=UTC)
STEP = Then("MATCH", needs=("PULL_A", "PULL_B"), then=(Then("SYNC", needs=("MATCH",)),))


def parent(kind: str, job_id: str, outcome: str = "success", minutes: int = 0) -> Parent:
    return Parent(kind, job_id, outcome, AT + timedelta(minutes=minutes))


def ended(kind: str, job_id: str) -> Finished:
    data = FinishedData(
        job=JobInfo(kind, "shop"), attempt=1, seq=9, outcome="success", counters=Counters(), then=(STEP,)
    )
    return Finished(
        specversion="1.0",
        id=f"{job_id}/1/9",
        source="s",
        job_id=job_id,
        time=AT,
        tenant="t",
        correlationid="chain",
        data=data,
    )


def test_waits_until_all_parents_are_there() -> None:
    assert next_job(ended("PULL_A", "a"), STEP, [parent("PULL_A", "a")], "s") is None


def test_the_child_does_not_depend_on_which_parent_came_last() -> None:
    parents = [parent("PULL_A", "a"), parent("PULL_B", "b", "partial", 5)]
    one = next_job(ended("PULL_A", "a"), STEP, parents, "s")
    other = next_job(ended("PULL_B", "b"), STEP, parents[::-1], "s")
    assert isinstance(one, Requested) and isinstance(other, Requested)
    assert encode(one) == encode(other)
    assert one.data.parents == ("a", "b")
    assert one.data.then == STEP.then


def test_a_retried_parent_makes_a_new_child() -> None:
    first = next_job(ended("PULL_A", "a"), STEP, [parent("PULL_A", "a"), parent("PULL_B", "b")], "s")
    again = next_job(ended("PULL_A", "a2"), STEP, [parent("PULL_A", "a2"), parent("PULL_B", "b")], "s")
    assert first is not None and again is not None
    assert first.job_id != again.job_id


def test_a_failed_parent_ends_the_child_as_skipped_and_says_why() -> None:
    child = next_job(ended("PULL_A", "a"), STEP, [parent("PULL_A", "a"), parent("PULL_B", "b", "failure")], "s")
    assert isinstance(child, Finished)
    assert child.data.outcome == "skipped"
    assert child.data.error is not None and "PULL_B ended as failure" in child.data.error.message
    assert child.data.then == STEP.then
