"""Rules of the tracker that need no server."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job_events.envelope import decode
from job_events.errors import InvalidEvent
from job_tracker.domain.cursors import decode_cursor, encode_cursor, list_mark
from job_tracker.domain.freshness import Instance, PartitionFault, Watermark, assess
from job_tracker.domain.health import NO_SIGNALS, QUEUED, RUNNING, HealthSignals, health, last_signal
from job_tracker.domain.job_view import eta_seconds, percent
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow

NOW = datetime(2026, 5, 1, 12, 0, 0, 500, tzinfo=UTC)
INFO = {"type": "PRODUCT_SYNC", "account": "shop", "batch": "b", "about": {"sku": "7"}}
COUNTS = {"total": None, "processed": 3, "successful": 2, "failed": 1, "skipped": 0}
PROGRESS = {"job": INFO, "attempt": 0, "seq": 2, "phase": "writing", "counters": COUNTS, "metadata": {"speed": 1.5}}
COPY = {"id": "r", "time": "2026-05-01T00:00:00Z", "parents": ["p"]}
STARTED = {"job": INFO, "attempt": 0, "seq": 1, "request": COPY, "worker": "w"}


def event(kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "type": kind,
            "specversion": "1.0",
            "id": "e1",
            "source": "jobtrail/puller/1",
            "subject": "job-1",
            "time": "2026-05-01T12:00:00.0005Z",
            "tenant": "demo",
            "correlationid": "chain-1",
            "causationid": "job-0",
            "traceparent": "00-1-2-03",
            "data": data,
        }
    ).encode()


@pytest.mark.parametrize(
    ("phase", "stored"),
    [("a\x00b", False), ("a\\u0000b", True), ("a\\\x00", False), ("\\\\u0000", True), ("u0000", True)],
)
def test_only_a_true_nul_is_refused(phase: str, stored: bool) -> None:
    value = event("job.progress.v1", PROGRESS | {"phase": phase})
    if stored:
        assert decode(value).job_id
    else:
        with pytest.raises(InvalidEvent, match=r"U\+0000"):
            decode(value)


def test_a_request_time_that_no_calendar_holds_is_refused() -> None:
    copy = COPY | {"time": "9999-12-31T23:59:59.999999Z"}
    with pytest.raises(InvalidEvent, match="1970 to 3000"):
        decode(event("job.started.v1", STARTED | {"request": copy}))


def test_a_dead_letters_row_always_fits() -> None:
    record = Record("t", 0, 1, NOW, None, b"\x00" * 100_000)
    row = DeadLetterRow(record, "bad \x00 and \ud800" + "x" * 5000).row()
    value, reason = row["value"], row["reason"]
    assert isinstance(value, bytes)
    assert isinstance(reason, str)
    assert (len(value), row["value_bytes"], len(reason)) == (65536, 100_000, 2000)
    assert "\x00" not in reason
    assert reason.encode()


def test_health_is_said_by_the_time_waited_and_heals() -> None:
    for state, limits in (("running", RUNNING), ("queued", QUEUED)):
        silences = (timedelta(0), limits.late, limits.stalled, limits.lost, limits.late - timedelta(seconds=1))
        assert [health(state, NOW - silent, NOW) for silent in silences] == ["ok", "late", "stalled", "lost", "ok"]
    assert health("finished", NOW - timedelta(days=900), NOW) == "ok"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_is_paused_is_never_late(state: str) -> None:
    for days in (0, 1, 900):
        assert health(state, NOW - timedelta(days=days), NOW, paused=True) == "paused"
    assert health("finished", NOW, NOW, paused=True) == "ok"


def test_the_last_sign_is_capped_by_the_brokers_time() -> None:
    hour = timedelta(hours=1)
    assert last_signal(NOW - hour, NO_SIGNALS, NOW) == NOW - hour
    assert last_signal(NOW + hour, NO_SIGNALS, NOW) == NOW
    assert last_signal(NOW + hour, HealthSignals(appended_at=NOW - 2 * hour), NOW) == NOW - 2 * hour
    assert last_signal(NOW - 3 * hour, HealthSignals(appended_at=NOW - 2 * hour), NOW) == NOW - 3 * hour
    # A clock ahead that the present has caught up with is still the broker's time.
    assert last_signal(NOW - hour, HealthSignals(appended_at=NOW - 5 * hour), NOW) == NOW - 5 * hour


def test_a_wait_begins_anew_where_a_pause_ends() -> None:
    hour = timedelta(hours=1)
    resumed = HealthSignals(appended_at=NOW - 9 * hour, resumed_at=NOW - hour)
    assert last_signal(NOW - 9 * hour, resumed, NOW) == NOW - hour
    later = HealthSignals(appended_at=NOW - hour, resumed_at=NOW - 2 * hour)
    assert last_signal(NOW - 9 * hour, later, NOW) == NOW - 9 * hour


def test_percent_and_eta() -> None:
    row: dict[str, Any] = {"state": "running", "outcome": None, "attempt": 1, "total": 300, "processed": 100}
    row |= {"s_at": NOW - timedelta(seconds=60), "p_at": NOW - timedelta(seconds=10)}
    assert percent(row) == 33.3
    assert eta_seconds(row, NOW) == 90
    assert eta_seconds(row | {"attempt": 2}, NOW) is None
    assert eta_seconds(row | {"total": None}, NOW) is None
    assert eta_seconds(row | {"total": 2**53 - 1}, NOW) is None
    assert percent(row | {"total": None}) is None
    assert percent(row | {"processed": 400}) == 100.0


def test_cursors_come_back_and_others_are_refused() -> None:
    values = [NOW, "job/ñ", 7]
    types = (datetime, str, int)
    mark = list_mark("items", "job-1")
    assert decode_cursor(encode_cursor(values, mark), types, mark) == values
    for wrong in (
        "",
        "x",
        encode_cursor(["a"], mark),
        encode_cursor([1, 2, 3], mark),
        "é",
        encode_cursor([NOW.replace(tzinfo=None), "job", 7], mark),
    ):
        with pytest.raises(ValueError, match="not a cursor"):
            decode_cursor(wrong, types, mark)
    with pytest.raises(ValueError, match="another list"):
        decode_cursor(encode_cursor(values, list_mark("items", "job-2")), types, mark)


def beat(state: str = "running", alive: bool = True) -> Instance:
    return Instance("i", state, "", NOW, alive)


def at(next_offset: int, end: int | None, applied: int, checked: int, reached: int | None = None) -> Watermark:
    """A partition whose last event was applied, and whose end was looked at, so many seconds ago."""
    ago = [None if seconds is None else NOW - timedelta(seconds=seconds) for seconds in (applied, checked, reached)]
    return Watermark("t", next_offset, next_offset, ago[0], end, ago[1], ago[2])


def test_idle_is_fresh_lagging_is_as_old_as_its_last_event_and_dead_is_told() -> None:
    idle = assess([at(5, 5, 900, 1)], [beat()], NOW)
    assert (idle.lag_events, idle.lag_seconds, idle.alive) == (0, 1.0, True)
    behind = assess([at(5, 8, 30, 1), at(6, 6, 900, 1)], [beat()], NOW)
    assert (behind.lag_events, behind.lag_seconds, behind.alive) == (3, 30.0, True)
    dead = assess([at(5, 5, 900, 600)], [beat(alive=False)], NOW)
    assert (dead.lag_seconds, dead.alive, dead.state) == (600.0, False, "dead")
    assert assess([at(5, 5, 900, 1)], [beat("waiting")], NOW).state == "waiting"
    assert assess([], [], NOW).as_of is None


def test_the_first_event_after_an_idle_hour_does_not_make_the_table_an_hour_old() -> None:
    waits = assess([at(5, 6, 3600, 1, reached=2)], [beat()], NOW)
    assert (waits.lag_events, waits.lag_seconds) == (1, 2.0)


def test_a_partition_that_nobody_has_read_yet_makes_the_age_unknown() -> None:
    new = Watermark("t", 9, 0, None, 4, NOW, None)
    found = assess([at(5, 5, 900, 1), new], [beat()], NOW)
    assert (found.lag_events, found.lag_seconds, found.headers()["Jobtrail-Lag"]) == (4, None, "unknown")


def test_what_no_projector_reads_is_as_old_as_its_fault() -> None:
    one = Watermark("t", 0, 5, NOW - timedelta(hours=1), 5, NOW, NOW)
    since = NOW - timedelta(minutes=3)
    works = [Instance("i", "partial", "", NOW, alive=True)]
    for partition in (0, -1):
        found = assess([one], works, NOW, [PartitionFault("t", partition, "gone", since)], ["t"])
        assert (found.state, found.alive, found.as_of, found.lag_seconds) == ("partial", True, since, 180)
    other = assess([one], works, NOW, [PartitionFault("t", 1, "gone", since)], ["t"])
    assert (other.state, other.as_of) == ("partial", NOW)
    # A topic that never was there has no partition that could be old.
    unknown = assess([one], works, NOW, [], ["t", "u"])
    assert (unknown.as_of, unknown.lag_seconds) == (None, None)
