"""What the projection `items` makes of single records, without a server."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from job_events.topics import Topics
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow
from job_tracker.projector.items_projection import ItemsProjection

TOPICS = Topics()
PLACE = {"topic": "jobs.requests.puller", "partition": 2, "offset": 7, "consumer": "puller", "reason": "no JSON"}


def letter(**data: Any) -> Record:
    """A message of `jobs.dead-letters`."""
    value = {
        "type": "job.dead-letter.v1",
        "specversion": "1.0",
        "id": "puller/2/7",
        "source": "jobtrail/puller/1",
        "time": "2026-03-01T08:00:00Z",
        "subject": "job-1",
        "data": PLACE | data,
    }
    return Record(TOPICS.dead_letters, 1, 40, datetime(2026, 3, 1, tzinfo=UTC), b"key", json.dumps(value).encode())


def dead(record: Record) -> DeadLetterRow:
    projection = ItemsProjection(TOPICS)
    (found,) = projection.add(projection.begin(), [record])
    return found


def test_a_letter_stands_where_the_refused_record_lies() -> None:
    found = dead(letter(key="a\0b", value="{\0", reason="why\0"))
    assert (found.record.topic, found.record.partition, found.record.offset) == ("jobs.requests.puller", 2, 7)
    assert (found.consumer, found.job_id, found.record.key, found.record.value) == ("puller", "job-1", b"a\0b", b"{\0")


@pytest.mark.parametrize(("sized", "size"), [({}, 5), ({"value_bytes": 2_000_000}, 2_000_000), ({"value_bytes": 1}, 5)])
def test_a_letter_whose_value_was_cut_tells_the_true_size(sized: dict[str, int], size: int) -> None:
    found = dead(letter(value='{"a":', truncated=True, **sized))
    assert found.row()["value_bytes"] == size


@pytest.mark.parametrize("data", [{"partition": 2**31}, {"consumer": "a\0b"}, {"topic": "a\0b"}, {"offset": 2**53}])
def test_a_letter_that_has_no_place_in_the_table_is_a_dead_letter_itself(data: dict[str, Any]) -> None:
    found = dead(letter(**data))
    assert (found.record.topic, found.record.partition, found.record.offset) == (TOPICS.dead_letters, 1, 40)
    assert found.consumer == "job-tracker"
