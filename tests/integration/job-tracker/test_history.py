"""What the projector writes of each record, read back from PostgreSQL."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from job_events.envelope import decode
from job_tracker.domain.timeline import Timeline, place, restore
from job_tracker.log.records import Record

Written = Callable[[list[bytes]], list[dict[str, Any]]]
APPENDED = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)
JOB = {"type": "PRODUCT_SYNC", "account": "shop", "batch": "b", "about": {"sku": "7"}}
BARE_JOB = {"type": "Đồng bộ", "account": "cửa hàng 👕"}
COUNTS = {"total": None, "processed": 3, "successful": 2, "failed": 1, "skipped": 0}
GREAT = dict.fromkeys(COUNTS, 2**53 - 1)
PROGRESS = {"job": JOB, "attempt": 0, "seq": 2, "phase": "writing", "counters": COUNTS, "metadata": {"speed": 1.5}}
COPY = {"id": "r", "time": "2026-05-01T00:00:00Z", "parents": ["p"]}
STARTED = {"job": JOB, "attempt": 0, "seq": 1, "request": COPY, "worker": "w"}
FINISHED = {"job": JOB, "attempt": 0, "seq": 3, "outcome": "success", "counters": COUNTS}
ERROR = {"category": "TIMEOUT", "code": "504", "message": "gone"}
CANCEL = {"target": {"kind": "job", "job_id": "job-1"}, "reason": "enough"}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("job.requested.v1", {"job": JOB, "params": {"a": [1]}, "then": [{"type": "X", "needs": ["Y"]}]}),
    ("job.started.v1", STARTED),
    ("job.started.v1", STARTED | {"total": 7, "attempt": 2**31 - 1, "seq": 2**53 - 1}),
    ("job.progress.v1", PROGRESS),
    ("job.progress.v1", PROGRESS | {"job": BARE_JOB, "metadata": {}, "counters": GREAT, "phase": ""}),
    ("job.finished.v1", FINISHED),
    ("job.finished.v1", FINISHED | {"outcome": "failure", "error": ERROR, "counters": GREAT, "duration_ms": 5}),
    ("job.deleted.v1", {"job": JOB, "requested_by": "somebody"}),
    ("job.cancel.v1", CANCEL),
    ("job.pause.v1", {"target": {"kind": "account", "account": "shop"}}),
    ("job.resume.v1", {"target": {"kind": "queue"}}),
]


def event(kind: str, data: dict[str, Any], event_id: str = "e1", **attributes: str) -> dict[str, Any]:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": event_id,
        "source": "jobtrail/puller/1",
        "subject": "job-1",
        "time": "2026-05-01T12:00:00.000501Z",
        "tenant": "demo",
        "correlationid": "chain-1",
        "data": data,
        **attributes,
    }


@pytest.fixture
def written(table: psycopg.Connection[Any], apply: Any) -> Written:
    """The rows that one batch of these values leaves, in log order."""

    def rows(values: list[bytes]) -> list[dict[str, Any]]:
        apply([Record("jobs.events", 2, 2**40 + n, APPENDED, None, value) for n, value in enumerate(values)])
        with table.cursor(row_factory=dict_row) as cursor:
            return cursor.execute('SELECT * FROM tracker.event ORDER BY "offset"').fetchall()

    return rows


def columns(raw: dict[str, Any], offset: int) -> dict[str, Any]:
    """What stands in every column but the body, taken from the raw JSON."""
    data = raw["data"]
    told = raw["type"] in {"job.progress.v1", "job.finished.v1"}
    counted = data["counters"] if told else {}
    return {
        "appended_at": APPENDED,
        "topic": "jobs.events",
        "partition": 2,
        "offset": offset,
        "job_id": raw["subject"],
        "event_id": raw["id"],
        "type": raw["type"],
        "at": datetime.fromisoformat(raw["time"]),
        "source": raw["source"],
        "tenant": raw["tenant"],
        "chain": raw["correlationid"],
        "parent": raw.get("causationid"),
        "traceparent": raw.get("traceparent"),
        "job_type": data.get("job", {}).get("type"),
        "account": data["job"]["account"] if "job" in data else data["target"].get("account"),
        **{name: data.get(name) for name in ("attempt", "seq", "phase", "outcome", "worker")},
        "total": counted["total"] if told else data.get("total"),
        **{name: counted.get(name) for name in ("processed", "successful", "failed", "skipped")},
    }


def test_each_row_holds_its_event_in_columns_and_gives_it_back(written: Written) -> None:
    related = {"causationid": "job-0", "traceparent": "00-1-2-03"}
    raws = [event(*given, f"e{n}", **extra) for n, given in enumerate(EVENTS) for extra in ({}, related)]
    raws.append(event("job.progress.v1", PROGRESS, time="1970-01-01T00:00:00Z"))
    raws.append(event("job.progress.v1", PROGRESS, time="2026-05-02T19:00:00+07:00"))
    values = [json.dumps(raw, ensure_ascii=False).encode() for raw in raws]
    rows = written(values)
    assert [restore(row) for row in rows] == [decode(value) for value in values]
    bodies = [row.pop("body") for row in rows]
    assert rows == [columns(raw, 2**40 + n) for n, raw in enumerate(raws)]
    assert all(isinstance(body, str) for body in bodies)


def test_verdicts_follow_log_order(written: Written) -> None:
    later = event("job.progress.v1", PROGRESS | {"seq": 5}, "e5")
    earlier = event("job.progress.v1", PROGRESS | {"seq": 4}, "e4")
    cancel = event("job.cancel.v1", CANCEL, "c")
    order = [later, earlier, later, earlier, cancel, cancel]
    rows = written([json.dumps(raw).encode() for raw in order])
    verdicts = ["applied", "superseded", "duplicate", "duplicate", "applied", "duplicate"]
    for begin in range(len(rows)):
        # The same whatever page is wanted, and in whatever pieces the rows come.
        page = Timeline(2, place(rows[begin - 1]) if begin else None)
        for piece in (rows[:begin], rows[begin : begin + 1], rows[begin + 1 :]):
            page.add(piece)
        assert [entry["verdict"] for entry in page.shown] == verdicts[begin : begin + 2]
        assert page.total == len(rows)
        assert page.last == (place(rows[begin + 1]) if begin + 2 < len(rows) else None)
