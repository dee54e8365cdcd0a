"""Bytes that are not an event are refused with a reason and, where it can be read, the job id."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from job_events.envelope import decode, storable
from job_events.errors import InvalidEvent

GOLDEN = Path(__file__).parents[3] / "schemas" / "golden" / "job.progress.v1.json"


def progress(**changes: Any) -> bytes:
    event = json.loads(GOLDEN.read_text("utf-8"))
    data = changes.pop("data", {})
    event.update(changes)
    event["data"].update(data)
    return json.dumps(event).encode()


def nested(levels: int) -> bytes:
    """An event of so many objects and arrays within each other, and with brackets in a text, which are none."""
    inside = levels - 3  # the event, its data, the metadata
    event = progress(data={"metadata": {"deep": "here", "note": '\\"' + "[{" * 1000}})
    return event.replace(b'"here"', b"[" * inside + b"]" * inside)


JOB = json.loads(progress())["subject"]
APPENDED = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "job_id", "reason"),
    [
        (None, None, "tombstone"),
        (b"", None, "no JSON object"),
        (b"\xff\xfe", None, "no JSON object"),
        (b"[]", None, "no JSON object but list"),
        (b"[" * 100_000, None, "nests deeper than 500 levels"),
        (nested(501), None, "nests deeper than 500 levels"),
        (progress(type="job.progress.v9"), JOB, "unknown type 'job.progress.v9'"),
        (progress(specversion="2.0"), JOB, "specversion"),
        (progress(subject="no such/id"), None, "subject"),
        (progress(subject=f"{JOB}\n"), None, "subject"),
        (progress(time="1312-01-01T00:00:00Z"), JOB, "outside 1970 to 3000"),
        (progress(time="2026-01-01T00:00:00"), JOB, "time"),
        (progress(data={"attempt": -1}), JOB, "attempt"),
        (progress(data={"attempt": 2**31}), JOB, "attempt"),
        (progress(data={"counters": {"processed": -4}}), JOB, "counters.processed"),
        (progress(data={"counters": {"processed": 2**60}}), JOB, "counters.processed"),
        (progress(data={"metadata": {"note": "a\0b"}}), JOB, "U+0000"),
        (progress(data={"phase": "x" * 513}), JOB, "phase"),
        (progress(later={"C:\\": "\\\0"}), JOB, "U+0000"),
    ],
)
def test_refused_with_a_reason(value: bytes | None, job_id: str | None, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason.replace("+", r"\+")) as refused:
        decode(value)
    assert refused.value.job_id == job_id


def test_an_escaped_backslash_before_u0000_is_harmless() -> None:
    assert decode(progress(data={"metadata": {"path": "C:\\u0000"}})).job_id == JOB


@pytest.mark.parametrize("unread", [b'"\xff"', b"1e400", b"9" * 400], ids=["no UTF-8", "too great", "too long"])
def test_an_unknown_field_may_be_undecodable(unread: bytes) -> None:
    text = progress(data={"metadata": {"path": "C:\\u0000"}})
    assert decode(text[:-1] + b', "later": ' + unread + b"}").job_id == JOB


def test_the_depth_limit_does_not_depend_on_the_stack_depth() -> None:
    """msgspec shares the stack with its callers."""
    value = nested(500)

    def decoded(frames: int) -> Any:
        return decode(value) if frames == 0 else decoded(frames - 1)

    assert decoded(0) == decoded(300)


def test_characters_that_cannot_be_stored_are_replaced() -> None:
    assert storable("Nhanh said \0 and \ud800, not ệ or 😀") == "Nhanh said � and �, not ệ or 😀"


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=-900), timedelta(hours=24)])
def test_a_time_up_to_a_day_ahead_of_its_record_is_read(ahead: timedelta) -> None:
    assert decode(progress(time=(APPENDED + ahead).isoformat()), APPENDED).job_id == JOB


@pytest.mark.parametrize(
    "path", [p for p in sorted(GOLDEN.parent.glob("*.json")) if "dead-letter" not in p.name], ids=lambda p: p.stem
)
@pytest.mark.parametrize("time", [APPENDED + timedelta(hours=24, microseconds=1), datetime(2999, 12, 31, tzinfo=UTC)])
def test_every_type_of_event_further_ahead_is_refused(path: Path, time: datetime) -> None:
    event = json.loads(path.read_text("utf-8")) | {"time": time.isoformat()}
    value = json.dumps(event).encode()
    with pytest.raises(InvalidEvent, match="more than 24 hours ahead") as refused:
        decode(value, APPENDED)
    assert refused.value.job_id == event["subject"]
    assert decode(value).job_id == event["subject"]  # before the broker has taken it, no clock can be compared


def test_the_request_time_in_a_start_is_checked_as_well() -> None:
    start = json.loads((GOLDEN.parent / "job.started.v1.json").read_text("utf-8")) | {"time": APPENDED.isoformat()}
    start["data"]["request"]["time"] = "2999-01-01T00:00:00Z"
    with pytest.raises(InvalidEvent, match="more than 24 hours ahead"):
        decode(json.dumps(start).encode(), APPENDED)
