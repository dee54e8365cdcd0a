"""A job's history with the verdict on each event, computed when read by folding in log order."""

from collections.abc import Iterable
from typing import Any

import msgspec

from job_events.envelope import canonical, encode
from job_events.events import AnyEvent, Control, ItemRecorded
from job_events.fold import JobState

Row = dict[str, Any]


def restore(row: Row) -> AnyEvent:
    """The event that a history row was made from."""
    kind: str = row["type"]
    data: Row
    if kind == "job.progress.v1":
        rest: Row = msgspec.json.decode(row["body"]) if row["body"] else {}
        data = {
            "job": {
                "type": row["job_type"],
                "account": row["account"],
                "batch": rest.get("batch"),
                "about": rest.get("about"),
            },
            "attempt": row["attempt"],
            "seq": row["seq"],
            "phase": row["phase"],
            "counters": {name: row[name] for name in ("total", "processed", "successful", "failed", "skipped")},
            "metadata": rest.get("metadata", {}),
        }
    else:
        data = msgspec.json.decode(row["body"])
    return msgspec.convert(
        {
            "type": kind,
            "specversion": "1.0",
            "id": row["event_id"],
            "source": row["source"],
            "subject": row["job_id"],
            "time": row["at"],
            "tenant": row["tenant"],
            "correlationid": row["chain"],
            "causationid": row["parent"],
            "traceparent": row["traceparent"],
            "data": data,
        },
        AnyEvent,
    )


def timeline(rows: Iterable[Row]) -> list[Row]:
    """The events in log order, each with its verdict.

    applied: it changed the row. duplicate: the same event stands further up. superseded: the row already
    held something greater, so this one changed nothing.
    """
    state = JobState()
    shown: list[Row] = []
    known: set[tuple[str, str]] = set()
    for row in rows:
        event = restore(row)
        copy = (event.id, canonical(event))
        duplicate = copy in known
        known.add(copy)
        verdict = "duplicate" if duplicate else "applied" if _changes(state, event) else "superseded"
        shown.append(_entry(row, event, verdict))
    return shown


def _changes(state: JobState, event: AnyEvent) -> bool:
    if isinstance(event, Control | ItemRecorded):
        return True  # a control message has no register; its first copy is the one that counts
    before = (state.request, state.stub, state.start, state.progress, state.end, state.deletion)
    state.apply(event, encode(event))
    after = (state.request, state.stub, state.start, state.progress, state.end, state.deletion)
    return any(one is not other for one, other in zip(before, after, strict=True))


def _entry(row: Row, event: AnyEvent, verdict: str) -> Row:
    return {
        "event_id": event.id,
        "type": row["type"],
        "verdict": verdict,
        "time": row["at"],
        "appended_at": row["appended_at"],
        "source": row["source"],
        "attempt": row["attempt"],
        "seq": row["seq"],
        "position": {"topic": row["topic"], "partition": row["partition"], "offset": row["offset"]},
        "data": event.data,
    }
