"""The merge in SQL keeps what the fold in Python keeps, register by register, for any stream and any batching."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property_tests import examples

from job_events.envelope import encode
from job_events.events import (
    Counters,
    Deleted,
    DeletedData,
    ErrorInfo,
    Finished,
    FinishedData,
    JobInfo,
    Lifecycle,
    Progress,
    ProgressData,
    RequestCopy,
    Requested,
    RequestedData,
    Started,
    StartedData,
)
from job_events.fold import fold
from job_tracker.domain.job_row import STORED_NAMES, job_row
from job_tracker.log.records import Record
from job_tracker.projector import jobs_projection

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
APPENDED = datetime(2026, 4, 1, tzinfo=UTC)
# Few values each, so that equal keys with different content are common; texts that no locale sorts as bytes do.
moments = st.integers(0, 3).map(lambda n: MOMENT + timedelta(microseconds=n))
texts = st.sampled_from(["a", "B", "ä", "Đ", "z", "A b", "\U0001f600", "\uffee"])
counts = st.sampled_from([0, 1, 2**53 - 1])
counters = st.builds(Counters, st.none() | counts, counts, counts, counts, counts)
infos = st.builds(JobInfo, texts, texts, st.none() | texts)
numbers = st.integers(0, 1)
metadata = st.dictionaries(texts, st.none() | st.integers(-5, 5) | texts, max_size=1)
envelope: dict[str, st.SearchStrategy[Any]] = {
    "specversion": st.just("1.0"),
    "id": texts,
    "source": st.just("test"),
    "job_id": st.sampled_from(["job-1", "job-2"]),
    "time": moments,
    "tenant": texts,
    "correlationid": st.sampled_from(["c1", "c2"]),
    "causationid": st.none() | st.just("p1"),
}
asked: dict[str, st.SearchStrategy[Any]] = {"params": metadata, "requested_by": texts}
copies = st.builds(RequestCopy, id=texts, time=moments, **asked)
key: dict[str, st.SearchStrategy[Any]] = {"job": infos, "attempt": numbers, "seq": numbers}
count: dict[str, st.SearchStrategy[Any]] = {"counters": counters, "metadata": metadata}
errors = st.none() | st.builds(ErrorInfo, st.just("TIMEOUT"), texts, texts)
outcomes = st.sampled_from(["success", "failure"])
events: st.SearchStrategy[Lifecycle] = st.one_of(
    st.builds(Requested, **envelope, data=st.builds(RequestedData, job=infos, **asked)),
    st.builds(Started, **envelope, data=st.builds(StartedData, **key, request=copies, worker=texts, total=counts)),
    st.builds(Progress, **envelope, data=st.builds(ProgressData, **key, phase=texts, **count)),
    st.builds(
        Finished,
        **envelope,
        data=st.builds(FinishedData, **key, outcome=outcomes, **count, error=errors, duration_ms=counts),
    ),
    st.builds(Deleted, **envelope, data=st.builds(DeletedData, job=infos, reason=texts)),
)

ways = st.sampled_from([0, 50])  # with no job few enough, all go by the stage


@settings(max_examples=examples(120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=st.lists(events, min_size=1, max_size=14), batch=st.integers(1, 5), few=ways)
def test_any_stream_in_any_batches(
    table: Any, apply: Any, monkeypatch: Any, stream: list[Lifecycle], batch: int, few: int
) -> None:
    monkeypatch.setattr(jobs_projection, "_FEW", few)
    table.execute("TRUNCATE tracker.job, tracker.event, tracker.rollup")
    records = [Record("jobs.events", 0, offset, MOMENT, None, encode(event)) for offset, event in enumerate(stream)]
    for start in range(0, len(records), batch):
        apply(records[start : start + batch])
    rows = table.execute(f"SELECT {', '.join(STORED_NAMES)} FROM tracker.job ORDER BY job_id").fetchall()
    folded = fold(stream)
    assert rows == [job_row(job_id, folded[job_id]) for job_id in sorted(folded)]
    shown = table.execute("SELECT job_id, state, status, attempt FROM tracker.job ORDER BY job_id").fetchall()
    assert shown == [(job, folded[job].state, folded[job].status, folded[job].attempt) for job in sorted(folded)]
    assert table.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []


@pytest.mark.parametrize("few", [0, 50])
def test_a_merge_that_changes_nothing_writes_nothing(
    table: Any, apply: Any, monkeypatch: Any, stream: Any, few: int
) -> None:
    monkeypatch.setattr(jobs_projection, "_FEW", few)
    values = [json.dumps(event).encode() for event in stream.jobs(5)]
    versions = "SELECT job_id, xmin, ctid FROM tracker.job ORDER BY job_id"
    apply([Record("jobs.events", 0, offset, APPENDED, None, value) for offset, value in enumerate(values)])
    before = table.execute(versions).fetchall()
    apply([Record("jobs.events", 1, offset, APPENDED, None, value) for offset, value in enumerate(values)])
    assert table.execute(versions).fetchall() == before
    assert table.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []


def test_sums_of_a_group_without_jobs_are_a_difference(table: Any) -> None:
    table.execute("TRUNCATE tracker.rollup")
    table.execute(
        "INSERT INTO tracker.rollup (tenant, account, job_type, status, day, jobs, processed, successful, failed, "
        "skipped, duration_ms) VALUES ('demo', '', 'PULL', 'RUNNING', '-infinity', 0, 77, 0, 0, 0, 0)"
    )
    found = table.execute("SELECT tenant, status, kept, counted FROM tracker.rollup_differences()").fetchall()
    assert found == [("demo", "RUNNING", 0, 0)]
    table.execute("UPDATE tracker.rollup SET processed = 0")
    assert table.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
