"""The projection `items` and the oracle, which share no code, agree on a stream; no server, so in every order."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from tests.chaos.messages import START
from tests.chaos.oracle import LogRecord
from tests.chaos.projections import ITEMS
from tests.chaos.workload import Mix, Workload

from job_events.topics import Topics
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow
from job_tracker.projector.items_projection import ItemsProjection

SENT = int(START.timestamp() * 1000)  # LogAppendTime of the first, milliseconds
MIX = Mix(poison=0.3, wild=0.3, items=1.0, letters=0.05)


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    """What one producer sends to the projection's topics, as a broker would hold it."""
    ends: Counter[tuple[str, int]] = Counter()
    turns = iter(range(12_000))
    records: list[LogRecord] = []
    for message in Workload("oracle", "p0", MIX).messages(lambda: next(turns, None) is not None):
        number = sum(message.key or b"") % 3
        if message.topic in ITEMS.topics:
            offset = ends[message.topic, number]
            ends[message.topic, number] += 1
            at = SENT + len(records)
            records.append(LogRecord(message.topic, number, offset, at, message.key, message.value))
    return sorted(records, key=lambda record: record.position)


@pytest.mark.parametrize("seed", range(3))
def test_the_projection_makes_the_rows_that_the_oracle_expects(log: list[LogRecord], seed: int) -> None:
    expected = ITEMS.expect(log)
    projection = ItemsProjection(Topics())
    content = projection.begin()
    dead = projection.add(content, _shuffled([_record(record) for record in log if record.topic == "jobs.items"], seed))
    dead += projection.add(content, [_record(record) for record in log if record.topic != "jobs.items"])
    assert min(len(expected.rows), len(expected.dead)) > 500
    assert {event_id: row._asdict() for event_id, row in content.items.items()} == {
        event_id: {"event_id": event_id, **row, "at": _time(row["at"]), "appended_at": _time(row["appended_at"])}
        for event_id, row in expected.rows.items()
    }
    assert {_place(letter) for letter in dead} == expected.dead.keys()


def _shuffled(records: list[Record], seed: int) -> list[Record]:
    random.Random(seed).shuffle(records)  # noqa: S311 - reproducible, not secret
    return records


def _record(record: LogRecord) -> Record:
    return Record(*record.position, _time(record.appended_at), record.key, record.value)


def _place(letter: DeadLetterRow) -> tuple[str, int, int, str]:
    record = letter.record
    return record.topic, record.partition, record.offset, letter.consumer


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
