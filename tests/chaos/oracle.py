"""The expected table, from the raw bytes of the log alone: sorting and `json`, no code of the fold or the contract.

For each job the oracle sorts everything that was ever said of it and takes the ends of the sorted lists.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Json = dict[str, Any]
Row = dict[str, Any]
Position = tuple[str, int, int]

LIFECYCLE = ("job.requested.v1", "job.started.v1", "job.progress.v1", "job.finished.v1")
DELETED = "job.deleted.v1"
CONTROL = ("job.cancel.v1", "job.pause.v1", "job.resume.v1")
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
_SUBJECT = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_COUNTS = ("processed", "successful", "failed", "skipped")


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


@dataclass(slots=True)
class Expected:
    """What the tables must hold once every record was read."""

    jobs: dict[str, Row] = field(default_factory=dict)
    history: set[Position] = field(default_factory=set)
    dead: set[Position] = field(default_factory=set)


def expect(log: Iterable[LogRecord]) -> Expected:
    """Judge every record and merge the good ones."""
    found = Expected()
    by_job: dict[str, list[Json]] = {}
    for record in log:
        event = readable(record.value)
        if event is None:
            found.dead.add(record.position)
            continue
        found.history.add(record.position)
        if event["type"] in (*LIFECYCLE, DELETED):
            by_job.setdefault(event["subject"], []).append(event)
    found.jobs = {job: _row(events) for job, events in by_job.items()}
    return found


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
    times = [_moment(e["time"]) for e in shown]
    counters = (end or progress or {"data": {"counters": {}}})["data"]["counters"]
    total = counters.get("total") if end or progress else (start or {"data": {}})["data"].get("total")
    outcome = end["data"]["outcome"] if end else None
    row |= {
        "state": "finished" if end else "running" if shown else "queued",
        "outcome": outcome,
        "status": STATUS[outcome] if outcome else "RUNNING" if shown else "PENDING",
        "attempt": max((e["data"]["attempt"] for e in shown), default=0),
        "total": total,
        **{name: counters.get(name, 0) for name in _COUNTS},
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
        ((_moment(e["time"]), e["id"].encode(), _descending(_request(e)["r_body"]), e) for e in events),
        key=lambda found: found[:3],
    )[3]
    at = _moment(said["time"])
    empty = _start(None) | _progress(None) | _end(None)
    shown = {"outcome": None, "attempt": 0, "total": None, **dict.fromkeys(_COUNTS, 0), "requested_at": None}
    known = {"created_at": at, "updated_at": at, "d_time": at, "d_id": said["id"], "deleted": True}
    return _request(said) | empty | shown | known | {"state": "deleted", "status": "DELETED"}


def _descending(text: str) -> list[int]:
    """Sorts the greater bytes first; a longer text before its own beginning."""
    return [*(-byte for byte in text.encode()), 1]


def _request(event: Json) -> Row:
    """What an event says of who the job is; without a request's own time it sorts behind every request."""
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
        time, event_id = _moment(said["time"]), said["id"]
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
    return {"total": counters.get("total"), **{name: counters.get(name, 0) for name in _COUNTS}}


def _key(prefix: str, event: Json) -> Row:
    data = event["data"]
    return {
        f"{prefix}_attempt": data["attempt"],
        f"{prefix}_seq": data["seq"],
        f"{prefix}_body": _body(event),
        f"{prefix}_at": _moment(event["time"]),
    }


def _start(event: Json | None) -> Row:
    if event is None:
        return {"s_attempt": -1, "s_seq": -1, "s_body": "", "s_at": None, "s_worker": None, "s_total": None}
    return _key("s", event) | {"s_worker": event["data"]["worker"], "s_total": event["data"].get("total")}


def _numbers(prefix: str, event: Json | None) -> Row:
    vector = _vector(event["data"]) if event else dict.fromkeys(("total", *_COUNTS))
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


def _moment(text: str) -> str:
    """A time in UTC whose text sorts as the time does."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _short(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")


def readable(value: bytes | None) -> Json | None:
    """The event in these bytes, or None where the contract allows no reader to take it."""
    try:
        event = json.loads((value or b"").decode())
        return event if _is_event(event) else None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _is_event(event: Json) -> bool:
    kind, data = event["type"], event["data"]
    return (
        kind in (*LIFECYCLE, DELETED, *CONTROL)
        and event["specversion"] == "1.0"
        and _text(event["id"], 512)
        and _text(event["source"], 512)
        and _id(event["subject"])
        and _time(event["time"])
        and _text(event["tenant"], 128)
        and _id(event["correlationid"])
        and (event.get("causationid") is None or _id(event["causationid"]))
        and "\0" not in "".join(_texts(event))
        and (data["target"]["kind"] in {"job", "account", "queue"} if kind in CONTROL else _is_lifecycle(kind, data))
    )


def _is_lifecycle(kind: str, data: Json) -> bool:
    job = data["job"]
    described = _text(job["type"], 128) and _text(job["account"], 128)
    if kind == "job.requested.v1":
        return described and data.get("priority", "normal") in {"low", "normal", "high", "urgent"}
    if kind == DELETED:
        return described
    known = described and _count(data["attempt"], 2**31 - 1) and _count(data["seq"])
    if kind == "job.started.v1":
        request = data["request"]
        return known and _time(request["time"]) and isinstance(data["worker"], str) and isinstance(request["id"], str)
    counters = data["counters"]
    counted = all(_count(counters.get(name, 0)) for name in _COUNTS) and _count(counters.get("total") or 0)
    if kind == "job.progress.v1":
        return known and counted and isinstance(data["phase"], str) and isinstance(data.get("metadata", {}), dict)
    return known and counted and data["outcome"] in STATUS and _count(data.get("duration_ms", 0))


def _text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most


def _id(value: object) -> bool:
    return isinstance(value, str) and _SUBJECT.fullmatch(value) is not None


def _count(value: object, most: int = 2**53 - 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    return 1970 <= datetime.fromisoformat(value).astimezone(UTC).year < 3000


def _texts(value: object) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield key
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case _:
            return
