"""The expected table, from the raw bytes of the log alone: sorting and `json`, no code of the fold or the contract.

For each job the oracle sorts everything that was ever said of it and takes the ends of the sorted lists.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.chaos.readable import CONTROL, COUNTS, DELETED, LIFECYCLE, Json, readable

Row = dict[str, Any]
Position = tuple[str, int, int]
TRACKER = "job-tracker"
KEPT_BYTES = 65536  # of a dead letter's key and value

NEVER = "9999-12-31T23:59:59.999999Z"
STATUS = {
    "success": "COMPLETED",
    "partial": "MIXED",
    "failure": "FAILED",
    "error": "FAILED",
    "timeout": "FAILED",
    "cancelled": "CANCELLED",
    "skipped": "CANCELLED",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogRecord(NamedTuple):
    """One record as the broker holds it; `appended_ms` is its LogAppendTime."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None

    @property
    def position(self) -> Position:
        return self.topic, self.partition, self.offset

    @property
    def appended_at(self) -> str:
        return moment((_EPOCH + timedelta(milliseconds=self.appended_ms)).isoformat())


class DeadLetterKey(NamedTuple):
    """The key of a dead letter: the position of the refused record, and the consumer that refused it."""

    topic: str
    partition: int
    offset: int
    consumer: str


@dataclass(slots=True)
class Expected:
    """What one projection must have written once every record was read; `rows` by their key."""

    rows: dict[str, Row] = field(default_factory=dict)
    history: set[Position] = field(default_factory=set)
    dead: dict[DeadLetterKey, Row] = field(default_factory=dict)

    def bury(self, record: LogRecord) -> None:
        """The tracker itself cannot use this record."""
        row = {"appended_at": record.appended_at, **kept(record.key, record.value)}
        self.dead[DeadLetterKey(*record.position, TRACKER)] = row


def expect_jobs(log: Iterable[LogRecord]) -> Expected:
    """Validate every record of the job table's topics and merge the valid ones."""
    found = Expected()
    by_job: dict[str, list[Json]] = {}
    for record in log:
        event = readable(record.value, (*LIFECYCLE, DELETED, *CONTROL), record.appended_ms)
        if event is None:
            found.bury(record)
            continue
        found.history.add(record.position)
        if event["type"] in (*LIFECYCLE, DELETED):
            by_job.setdefault(event["subject"], []).append(event)
    found.rows = {job: _row(events) for job, events in by_job.items()}
    return found


def kept(key: bytes | None, value: bytes | None) -> Row:
    """The columns of a dead letter that come from its record."""
    return {
        "key": key[:KEPT_BYTES] if key is not None else None,
        "value": value[:KEPT_BYTES] if value is not None else None,
        "value_bytes": len(value or b""),
    }


def canonical(value: object) -> str:
    """Keys sorted, no spaces, letters as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _row(events: list[Json]) -> Row:
    deleted = [event for event in events if event["type"] == DELETED]
    if deleted:
        return _tombstone(deleted)
    requests = sorted(map(_request, events), key=lambda r: (r["r_time"], r["r_id"].encode(), _descending(r["r_body"])))
    row = dict(requests[0])
    start, progress, end = (_greatest(events, kind) for kind in LIFECYCLE[1:])
    row |= _start(start) | _progress(progress) | _end(end)
    shown = [e for e in (start, progress, end) if e]
    asked = row["r_time"] if row["r_time"] != NEVER else None
    times = [moment(e["time"]) for e in shown]
    counters = (end or progress or {"data": {"counters": {}}})["data"]["counters"]
    total = counters.get("total") if end or progress else (start or {"data": {}})["data"].get("total")
    outcome = end["data"]["outcome"] if end else None
    row |= {
        "state": "finished" if end else "running" if shown else "queued",
        "outcome": outcome,
        "status": STATUS[outcome] if outcome else "RUNNING" if shown else "PENDING",
        "attempt": max((e["data"]["attempt"] for e in shown), default=0),
        "total": total,
        **{name: counters.get(name, 0) for name in COUNTS},
        "requested_at": asked,
        "created_at": asked or min(times),
        "updated_at": max([asked, *times] if asked else times),
        "d_time": None,
        "d_id": None,
        "deleted": False,
    }
    return row


def _tombstone(events: list[Json]) -> Row:
    """All that is left of a deleted job: the earliest deletion and what it says of the job."""
    said = min(
        ((moment(e["time"]), e["id"].encode(), _descending(_request(e)["r_body"]), e) for e in events),
        key=lambda found: found[:3],
    )[3]
    at = moment(said["time"])
    empty = _start(None) | _progress(None) | _end(None)
    shown = {"outcome": None, "attempt": 0, "total": None, **dict.fromkeys(COUNTS, 0), "requested_at": None}
    known = {"created_at": at, "updated_at": at, "d_time": at, "d_id": said["id"], "deleted": True}
    return _request(said) | empty | shown | known | {"state": "deleted", "status": "DELETED"}


def _descending(text: str) -> list[int]:
    """Sorts the greater bytes first; a longer text before its own beginning."""
    return [*(-byte for byte in text.encode()), 1]


def _request(event: Json) -> Row:
    """The identity of the job in an event; without a request's time it sorts behind every request."""
    data, kind = event["data"], event["type"]
    asked = data if kind == "job.requested.v1" else data["request"] if kind == "job.started.v1" else None
    job = {name: value for name, value in data["job"].items() if value is not None}
    body = {
        "tenant": event["tenant"],
        "chain": event["correlationid"],
        "parent": event.get("causationid"),
        "job": job,
    }
    time, event_id = NEVER, ""
    if asked is not None:
        said = event if kind == "job.requested.v1" else asked
        time, event_id = moment(said["time"]), said["id"]
        body |= {
            "params": asked.get("params", {}),
            "priority": asked.get("priority", "normal"),
            "then": asked.get("then", []),
            "requested_by": asked.get("requested_by", ""),
            "retryof": asked.get("retryof"),
            "parents": asked.get("parents", []),
        }
    return {
        "r_time": time,
        "r_id": event_id,
        "r_body": canonical(body),
        "tenant": event["tenant"],
        "account": job["account"],
        "job_type": job["type"],
        "chain": event["correlationid"],
        "parent": event.get("causationid"),
        "batch": job.get("batch"),
        "priority": asked.get("priority", "normal") if asked else None,
        "retry_of": asked.get("retryof") if asked else None,
        "requested_by": asked.get("requested_by", "") if asked else None,
    }


def _greatest(events: list[Json], kind: str) -> Json | None:
    """The event of the greatest (attempt, seq); of equals the one with the greater canonical bytes."""
    several = [event for event in events if event["type"] == kind]
    return max(several, key=lambda e: (e["data"]["attempt"], e["data"]["seq"], _body(e).encode()), default=None)


def _body(event: Json) -> str:
    data, at = event["data"], _short(event["time"])
    match event["type"]:
        case "job.started.v1":
            return canonical({"at": at, "worker": data["worker"], "total": data.get("total")})
        case "job.progress.v1":
            return canonical(
                {
                    "at": at,
                    "phase": data["phase"],
                    "counters": _vector(data),
                    "metadata": data.get("metadata", {}),
                }
            )
        case _:
            return canonical(
                {
                    "at": at,
                    "outcome": data["outcome"],
                    "counters": _vector(data),
                    "metadata": data.get("metadata", {}),
                    "error": data.get("error"),
                    "duration_ms": data.get("duration_ms", 0),
                    "then": data.get("then", []),
                }
            )


def _vector(data: Json) -> Json:
    counters = data["counters"]
    return {"total": counters.get("total"), **{name: counters.get(name, 0) for name in COUNTS}}


def _key(prefix: str, event: Json) -> Row:
    data = event["data"]
    return {
        f"{prefix}_attempt": data["attempt"],
        f"{prefix}_seq": data["seq"],
        f"{prefix}_body": _body(event),
        f"{prefix}_at": moment(event["time"]),
    }


def _start(event: Json | None) -> Row:
    if event is None:
        return {"s_attempt": -1, "s_seq": -1, "s_body": "", "s_at": None, "s_worker": None, "s_total": None}
    return _key("s", event) | {"s_worker": event["data"]["worker"], "s_total": event["data"].get("total")}


def _numbers(prefix: str, event: Json | None) -> Row:
    vector = _vector(event["data"]) if event else dict.fromkeys(("total", *COUNTS))
    return {f"{prefix}_{name}": value for name, value in vector.items()}


def _progress(event: Json | None) -> Row:
    nothing = {"p_attempt": -1, "p_seq": -1, "p_body": "", "p_at": None, "p_phase": None}
    known = _key("p", event) | {"p_phase": event["data"]["phase"]} if event else nothing
    return known | _numbers("p", event)


def _end(event: Json | None) -> Row:
    nothing = {"e_attempt": -1, "e_seq": -1, "e_body": "", "e_at": None, "e_outcome": None}
    known = _key("e", event) | {"e_outcome": event["data"]["outcome"]} if event else nothing
    data = event["data"] if event else {}
    return (
        known
        | _numbers("e", event)
        | {
            "e_duration_ms": data.get("duration_ms", 0) if event else None,
            "e_error_category": (data.get("error") or {}).get("category"),
        }
    )


def moment(text: str) -> str:
    """A time in UTC whose text sorts as the time does."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _short(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
