"""Which bytes are valid by the contract, decided with `json` and comparisons only, without the contract's code."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

LIFECYCLE = ("job.requested.v1", "job.started.v1", "job.progress.v1", "job.finished.v1")
DELETED = "job.deleted.v1"
CONTROL = ("job.cancel.v1", "job.pause.v1", "job.resume.v1")
ITEM = "item.recorded.v1"
OUTCOMES = ("success", "partial", "failure", "error", "timeout", "cancelled", "skipped")
ACTIONS = ("created", "updated", "unchanged", "skipped", "failed", "conflict", "would_create", "would_update")
CATEGORIES = (
    *("RATE_LIMITED", "NETWORK_ERROR", "TIMEOUT", "INVALID_CREDENTIALS", "PERMISSION_DENIED", "NOT_FOUND"),
    *("CONFLICT", "VALIDATION_FAILED", "PLATFORM_ERROR", "CHANGE_TOO_LARGE", "INTERNAL", "CANCELLED"),
)
DEEPEST = 500  # levels that any reader takes
COUNTS = ("processed", "successful", "failed", "skipped")
_SUBJECT = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def readable(value: bytes | None, kinds: Iterable[str], appended_ms: int) -> Json | None:
    """The event in these bytes if it is of one of these kinds; None where no reader may take it.

    appended_ms: the record's LogAppendTime, milliseconds since 1970.
    """
    try:
        event = json.loads((value or b"").decode())
        fits = _depth(event) <= DEEPEST and event["type"] in kinds and _is_event(event)
        return event if fits and not any(_ahead(time, appended_ms) for time in _times(event)) else None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def readable_letter(value: bytes | None) -> Json | None:
    """The dead letter in these bytes, if it is one and names a place that a record could have."""
    try:
        letter = json.loads((value or b"").decode())
        return letter if _depth(letter) <= DEEPEST and _is_letter(letter, letter["data"]) else None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def subject_in(value: bytes | None) -> str | None:
    """The job that bytes name which need not be an event."""
    try:
        named = json.loads((value or b"").decode())["subject"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return named if _id(named) else None


def _depth(value: object) -> int:
    """Objects and arrays within each other, level by level."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _is_letter(letter: Json, data: Json) -> bool:
    return (
        letter["type"] == "job.dead-letter.v1"
        and letter["specversion"] == "1.0"
        and isinstance(letter["id"], str)
        and isinstance(letter["source"], str)
        and _TIME.fullmatch(letter["time"]) is not None
        and _optional(letter.get("subject"), _id)
        and all(_text(data[name], 512, 0) and _storable(data[name]) for name in ("topic", "consumer"))
        and len(data["topic"].encode()) <= 249
        and len(data["consumer"].encode()) <= 255
        and _text(data["reason"], 4096, 0)
        and _count(data["partition"], 2**31 - 1)
        and _count(data["offset"])
        and all(_optional(data.get(name), lambda text: isinstance(text, str)) for name in ("key", "value"))
        and data.get("encoding", "utf-8") in {"utf-8", "base64"}
        and ("value_bytes" not in data or _count(data["value_bytes"]))
    )


def _is_event(event: Json) -> bool:
    return (
        event["specversion"] == "1.0"
        and _text(event["id"], 512)
        and _text(event["source"], 512)
        and _id(event["subject"])
        and _time(event["time"])
        and _text(event["tenant"], 128)
        and _id(event["correlationid"])
        and _optional(event.get("causationid"), _id)
        and _optional(event.get("traceparent"), lambda value: _text(value, 64, 0))
        and _storable("".join(_texts(event)))
        and _is_data(event["type"], event["data"])
    )


def _is_data(kind: str, data: Json) -> bool:
    if kind in CONTROL:
        known = data["target"]["kind"] in {"job", "account", "queue"}
        return known and ("job" not in data or _is_job(data["job"]))
    return _is_job(data["job"]) and (_is_item(data) if kind == ITEM else _is_lifecycle(kind, data))


def _is_job(job: Json) -> bool:
    return (
        _text(job["type"], 128)
        and _text(job["account"], 128)
        and _optional(job.get("batch"), lambda value: _text(value, 512, 0))
        and _optional(job.get("about"), _names)
    )


def _is_lifecycle(kind: str, data: Json) -> bool:
    if kind == "job.requested.v1":
        return data.get("priority", "normal") in {"low", "normal", "high", "urgent"}
    if kind == DELETED:
        return True
    known = _count(data["attempt"], 2**31 - 1) and _count(data["seq"])
    if kind == "job.started.v1":
        request = data["request"]
        return known and _time(request["time"]) and isinstance(data["worker"], str) and isinstance(request["id"], str)
    counters = data["counters"]
    counted = all(_count(counters.get(name, 0)) for name in COUNTS) and _count(counters.get("total") or 0)
    if kind == "job.progress.v1":
        return known and counted and isinstance(data["phase"], str) and isinstance(data.get("metadata", {}), dict)
    return known and counted and data["outcome"] in OUTCOMES and _count(data.get("duration_ms", 0))


def _is_item(data: Json) -> bool:
    changes = data.get("changes", [])
    return (
        _count(data["attempt"], 2**31 - 1)
        and _text(data["item"], 512, 0)
        and data["action"] in ACTIONS
        and _names(data.get("ids", {}))
        and _optional(data.get("response_ms"), _count)
        and _text(data.get("worker", ""), 512, 0)
        and _optional(data.get("error"), _is_error)
        and isinstance(changes, list)
        and all(map(_is_change, changes))
    )


def _is_error(error: Json) -> bool:
    return error["category"] in CATEGORIES and _text(error["code"], 512, 0) and _text(error["message"], 4096, 0)


def _is_change(change: Json) -> bool:
    sides = (change.get("before"), change.get("after"))
    return _text(change["name"], 128) and all(_optional(side, lambda value: _text(value, 512, 0)) for side in sides)


def _optional(value: Any, fits: Callable[[Any], bool]) -> bool:
    return value is None or fits(value)


def _text(value: object, most: int, least: int = 1) -> bool:
    return isinstance(value, str) and least <= len(value) <= most


def _names(value: object) -> bool:
    """An object of short texts under names."""
    return isinstance(value, dict) and all(_text(name, 128) and _text(text, 512, 0) for name, text in value.items())


def _id(value: object) -> bool:
    return isinstance(value, str) and _SUBJECT.fullmatch(value) is not None


def _count(value: object, most: int = 2**53 - 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    return 1970 <= datetime.fromisoformat(value).astimezone(UTC).year < 3000


def _times(event: Json) -> Iterable[str]:
    """The times by which lists are ordered: the event's own, and that of the request which a start repeats."""
    yield event["time"]
    if event["type"] == "job.started.v1":
        yield event["data"]["request"]["time"]


def _ahead(time: str, appended_ms: int) -> bool:
    """More than a day ahead of the broker's clock, to the microsecond."""
    since = datetime.fromisoformat(time).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds > (appended_ms + 86_400_000) * 1000


def _storable(text: str) -> bool:
    """PostgreSQL takes no NUL; half a surrogate pair has no UTF-8, so it raises here."""
    text.encode()
    return "\0" not in text


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
