"""The history of a job with a verdict on each event, computed when read by folding in log order."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from job_events.envelope import canonical, encode
from job_events.events import AnyEvent, Control, ItemRecorded
from job_events.fold import JobState

Row = dict[str, Any]
HistoryPosition = tuple[datetime, str, int, int]


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


class Timeline:
    """A page of a history, judged by folding all of it: `add` the rows in log order, in as many pieces as there are.

    It keeps no more of them than the page: the `most` events behind `after`, a place, or the first ones; fewer where
    they have more than `most_bytes` together, but one at least.

    applied: an event changed the row. duplicate: the same event stands further up. superseded: the row already
    held something greater, so this one changed nothing.
    """

    def __init__(self, most: int, after: HistoryPosition | None = None, most_bytes: int = 4 * 2**20) -> None:
        self.shown: list[Row] = []
        self.total = 0
        self.last: HistoryPosition | None = None  # of the last one shown, if others follow it
        self._most, self._after, self._room = most, after, most_bytes
        self._end: HistoryPosition | None = None
        self._state = JobState()
        self._known: set[tuple[str, bytes]] = set()

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            event, at = restore(row), place(row)
            verdict = self._judge(event)
            self.total += 1
            if self._after is not None and at <= self._after:
                continue
            if self.last is not None:
                continue
            size = len(encode(event))
            if self.shown and (len(self.shown) == self._most or size > self._room):
                self.last = self._end
                continue
            self.shown.append(_entry(row, event, verdict))
            self._end, self._room = at, self._room - size

    def _judge(self, event: AnyEvent) -> str:
        copy = (event.id, hashlib.sha256(canonical(event).encode()).digest())
        if copy in self._known:
            return "duplicate"
        self._known.add(copy)
        return "applied" if _changes(self._state, event) else "superseded"


def place(row: Row) -> HistoryPosition:
    """The key of the history, in whose order it is read."""
    return row["appended_at"], row["topic"], row["partition"], row["offset"]


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
