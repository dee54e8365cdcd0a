"""The workload: valid, seeded, of the promised shape, and its own reading of the end is the fold's."""

import json
from collections import Counter

from bench.workload import CALM_JOBS, Row, Shape, expected, messages, shaken

from job_events.envelope import decode
from job_events.events import Lifecycle
from job_events.fold import fold

SMALL = Shape(jobs=300, in_flight=40)


def test_every_event_is_valid_and_keyed_by_its_job() -> None:
    for message in messages(SMALL):
        event = decode(message.value)
        assert isinstance(event, Lifecycle)
        assert event.job_id.encode() == message.key


def test_each_job_starts_goes_on_and_finishes() -> None:
    told: dict[bytes, list[str]] = {}
    for message in messages(SMALL):
        told.setdefault(message.key, []).append(json.loads(message.value)["type"])
    assert len(told) == SMALL.jobs
    for types in told.values():
        assert types == ["job.started.v1", *["job.progress.v1"] * 13, "job.finished.v1"]


def test_data_has_about_380_bytes() -> None:
    sizes = [len(json.dumps(json.loads(m.value)["data"], separators=(",", ":"))) for m in messages(SMALL)]
    assert 350 < sum(sizes) / len(sizes) < 410


def test_no_more_jobs_are_under_way_than_promised() -> None:
    left = Counter[bytes]()
    for message in messages(SMALL):
        left[message.key] += 1
        if left[message.key] == SMALL.events_a_job:
            del left[message.key]
        assert len(left) <= SMALL.in_flight


def test_one_seed_gives_one_stream() -> None:
    assert list(messages(SMALL)) == list(messages(SMALL))
    assert list(messages(SMALL)) != list(messages(Shape(jobs=300, in_flight=40, seed=5)))


def test_a_counter_tells_how_many_events_of_its_job_came() -> None:
    came = Counter[bytes]()
    for message in messages(SMALL):
        counters = json.loads(message.value)["data"].get("counters", {"processed": 0})
        assert counters["processed"] == message.processed == 97 * came[message.key]
        came[message.key] += 1


def test_a_shaken_stream_has_late_and_double_events_and_the_same_ends() -> None:
    calm, stream = list(messages(SMALL)), shaken(SMALL)
    assert len(stream) > len(calm) + CALM_JOBS * SMALL.events_a_job
    last = {message.key: message for message in stream}
    assert any(b"job.finished.v1" not in message.value for message in last.values())
    right = expected(stream)
    assert {job: row for job, row in right.items() if job.encode() in {m.key for m in calm}} == expected(calm)


def test_what_is_expected_is_what_the_fold_says() -> None:
    stream = shaken(SMALL)
    events = [event for message in stream if isinstance(event := decode(message.value), Lifecycle)]
    right = expected(stream)
    rows = fold(events)
    assert rows.keys() == right.keys()
    for job, row in rows.items():
        end = row.end
        assert end is not None
        shown = Row("finished", end.total or 0, end.processed, end.successful, end.failed, end.skipped, end.at)
        assert right[job] == shown
