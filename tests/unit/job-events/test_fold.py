"""The fold: any order, any duplication, any batching gives the same row, and the row an independent oracle gives."""

import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property_tests import examples

from job_events.envelope import decode, encode
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
from job_events.fold import JobState, Registers, fold

Oracle = Callable[[Iterable[bytes]], dict[str, dict[str, Any]]]
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)

jobs = st.sampled_from(["job-a", "job-b"])
# Few values, so that equal keys with different contents come up often.
times = st.integers(0, 3).map(lambda n: EPOCH + timedelta(seconds=n, microseconds=n * 7))
attempts = st.integers(0, 3)
seqs = st.integers(0, 3)
counters = st.builds(
    Counters, st.none() | st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)
)
metadata = st.dictionaries(
    st.sampled_from(["pages", "created", "ghi chú"]), st.integers(0, 3) | st.text("ạb", max_size=2)
)
infos = st.builds(JobInfo, st.sampled_from(["PULL", "SYNC"]), st.just("shop"), st.none() | st.just("nightly"))


@st.composite
def lifecycle(draw: st.DrawFn) -> Lifecycle:
    job_id, attempt, seq = draw(jobs), draw(attempts), draw(seqs)
    base: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{job_id}/{attempt}/{seq}",
        "source": "test",
        "job_id": job_id,
        "time": draw(times),
        "tenant": draw(st.sampled_from(["t1", "t2"])),
        "correlationid": draw(st.sampled_from(["c1", "c2"])),
    }
    info = draw(infos)
    asked: dict[str, Any] = {"params": draw(metadata), "priority": draw(st.sampled_from(["low", "urgent"]))}
    match draw(st.integers(0, 12)):
        case 12:
            deletion = draw(st.sampled_from([f"{job_id}/deleted", "other"]))
            return Deleted(
                **base | {"id": deletion}, data=DeletedData(job=info, reason=draw(st.text("ab", max_size=1)))
            )
        case 0 | 4 | 8:
            return Requested(**base, data=RequestedData(job=info, **asked))
        case 1 | 5 | 9:
            copy = RequestCopy(id=draw(st.sampled_from(["r1", "r2"])), time=draw(times), **asked)
            worker = draw(st.sampled_from(["w1", "w2"]))
            return Started(**base, data=StartedData(job=info, attempt=attempt, seq=seq, request=copy, worker=worker))
        case 2 | 6 | 10:
            return Progress(
                **base,
                data=ProgressData(
                    job=info,
                    attempt=attempt,
                    seq=seq,
                    phase=draw(st.sampled_from(["p1", "p2"])),
                    counters=draw(counters),
                    metadata=draw(metadata),
                ),
            )
        case _:
            error = draw(st.none() | st.just(ErrorInfo("TIMEOUT", "x", "y")))
            return Finished(
                **base,
                data=FinishedData(
                    job=info,
                    attempt=attempt,
                    seq=seq,
                    outcome=draw(st.sampled_from(["success", "failure"])),
                    counters=draw(counters),
                    metadata=draw(metadata),
                    error=error,
                ),
            )


@given(st.lists(lifecycle(), min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_show(events: list[Lifecycle], chance: random.Random) -> None:
    shuffled = [*events, *chance.choices(events, k=5)]
    chance.shuffle(shuffled)
    assert fold(shuffled) == fold(events)


@given(st.lists(lifecycle(), min_size=1, max_size=14))
def test_the_row_equals_that_of_the_oracle(oracle: Oracle, events: list[Lifecycle]) -> None:
    expected = oracle(encode(event) for event in events)
    rows = fold(events)
    assert rows.keys() == expected.keys()
    for job_id, row in rows.items():
        assert _shown(row) == expected[job_id]


@given(st.lists(lifecycle(), min_size=1, max_size=14))
def test_no_state_regresses(events: list[Lifecycle]) -> None:
    rank = {"queued": 0, "running": 1, "finished": 2, "deleted": 3}
    states: dict[str, JobState] = {}
    reached: dict[str, int] = {}
    for event in events:
        state = states.setdefault(event.job_id, JobState())
        state.apply(event, encode(event))
        now = rank[state.registers().state]
        assert now >= reached.get(event.job_id, 0)
        reached[event.job_id] = now


@given(lifecycle())
@settings(max_examples=examples(50))
def test_an_event_survives_encoding(event: Lifecycle) -> None:
    assert decode(encode(event)) == event


def _shown(row: Registers) -> dict[str, Any]:
    source = row.end or row.progress
    body = json.loads(source.body) if source else None
    known = row.request.id != ""
    return {
        "state": row.state,
        "outcome": row.end.outcome if row.end else None,
        "attempt": row.attempt,
        "counters": body["counters"] if body else None,
        "metadata": body["metadata"] if body else None,
        "request": (row.request.time.isoformat().replace("+00:00", "Z"), row.request.id) if known else None,
        "phase": row.progress.phase if row.progress else None,
        "deletion": (row.deletion.at.isoformat().replace("+00:00", "Z"), row.deletion.id) if row.deletion else None,
    }
