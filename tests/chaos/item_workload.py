"""The workload of items, and of dead letters that services send about records they refused."""

import json
import random
from datetime import datetime, timedelta, timezone

from tests.chaos.messages import BIGGEST, EARLY, LATE, START, Json, event

ITEM = "item.recorded.v1"
# Few names, so that an attempt comes back to one of them: then two bodies stand under one id.
NAMES = ("113", "SKU-7", "gid://shopify/ProductVariant/9", "Áo thun / đỏ", "0901 234 567")
ACTIONS = ("created", "updated", "unchanged", "skipped", "failed", "conflict", "would_create", "would_update")
ODD = '\x01\x1f\x7f\t"\\/\u2028\uffff😀 ế e\u0323\u0302 \u202e'
ZONES = (timedelta(hours=7), timedelta(hours=-11, minutes=-30), timedelta(0))

NEEDED = ("type", "specversion", "id", "source", "subject", "time", "tenant", "correlationid", "data")
NEEDED_INSIDE = ("job", "attempt", "item", "action")
WRONG: tuple[Json, ...] = (
    *({"type": kind} for kind in ("item.recorded.v9", "job.progress.v1", "job.cancel.v1", ["item"], None)),
    *({"time": time} for time in ("yesterday", "9999-01-01T00:00:00Z", "2026-03-01T08:00:00", "1970-01-01T00:00Z", 0)),
    *({"subject": subject} for subject in ("job-1\n", "no spaces", "", "x" * 129, None)),
    *({"id": event_id} for event_id in ("", "x" * 513, "a\0b", 113)),
    *({"tenant": ""}, {"traceparent": "x" * 65}, {"causationid": "no spaces"}, {"specversion": "0.3"}),
    *({"later": ["\0"]}, {"a\0b": 1}, {"later": "\ud800"}, {"data": []}, {"data": None}),
)
WRONG_INSIDE: tuple[Json, ...] = (
    *({"attempt": value} for value in (-1, 2**31, 1.5, 1.0, True, "1", None)),
    *({"response_ms": value} for value in (-1, 2**53, 10**30, 0.5, "84")),
    *({"item": value} for value in (None, 113, "x" * 513, "a\0b", "\ud800")),
    *({"action": value} for value in ("exploded", None)),
    *({"worker": value} for value in (None, "x" * 513, "\udfff")),
    *({"ids": value} for value in (None, {"": "1"}, {"nhanh": 113}, {"a\0b": "1"}, ["113"])),
    *({"error": value} for value in ("gone", {}, {"category": "BAD", "code": "", "message": ""})),
    *({"error": {"category": "TIMEOUT", "code": "504", "message": value}} for value in (None, "x" * 4097)),
    *({"changes": value} for value in (None, {}, [{}], [{"name": ""}], [{"name": "a", "after": 1}])),
    *({"job": value} for value in (None, {"type": "", "account": "a"}, {"type": "A"}, {"account": "a"})),
    *({"job": {"type": "A", "account": "a", "about": value}} for value in ({"": "1"}, {"a": None}, "tool")),
)


def item(chance: random.Random, job: str, info: Json, attempt: int, at: datetime) -> Json:
    """One item as a worker records it; missing values are left out or null."""
    name, action = chance.choice(NAMES), chance.choice(ACTIONS)
    data: Json = {"job": info, "attempt": attempt, "item": name, "action": action}
    if chance.random() < 0.7:
        data |= {"ids": {"nhanh": name, "shopify": f"gid://{name}"}, "worker": f"w{attempt}"}
    if chance.random() < 0.7:
        data["response_ms"] = chance.choice([None, chance.randrange(5000)])
    if action == "failed":
        data["error"] = {"category": chance.choice(["NETWORK_ERROR", "RATE_LIMITED"]), "code": "503", "message": "gone"}
    if action == "updated":
        data["changes"] = [
            {"name": "price", "before": "120000", "after": str(chance.randrange(10**6))},
            {"name": "phone", "after": "090•••••67"},
        ]
    return event(ITEM, job, f"{job}/{name}/{attempt}", at, data)


def again(chance: random.Random, known: Json) -> Json:
    """The same id again: with another body, or the same body in another encoding."""
    data = known["data"]
    match chance.randrange(4):
        case 0:
            return known | {"data": data | {"action": chance.choice(ACTIONS), "response_ms": chance.randrange(5000)}}
        case 1:
            return known | {"time": _elsewhere(chance, datetime.fromisoformat(known["time"]))}
        case 2:
            return known | {"data": data | {"error": None, "changes": [], "ids": {}, "worker": ""}}
        case _:
            said = {"response_ms": None, "worker": "", "error": None, "changes": [], "ids": {}}
            return {"later": [ODD, {"\\u0000": 1.5e300}], "causationid": None} | known | {"data": said | data}


def wild_item(chance: random.Random, job: str, info: Json) -> Json:
    """Extreme values that the contract allows; some under an id that other jobs use too."""
    longest = chance.choice([ODD, "😀" * 512, "", "a" * 512])
    attempt = chance.choice([0, 1, 2**31 - 1])
    event_id = chance.choice([f"shared/{chance.randrange(9)}", f"{job}/{attempt}/" + "😀" * 300, f"{job}/{ODD}"])
    data = {
        "job": info | {"batch": longest, "about": {"ế" * 128: longest}},
        "attempt": attempt,
        "item": longest,
        "action": chance.choice(ACTIONS),
        "ids": {ODD: ODD, "\uffff": "", "😀": "ﬁ", "a" * 128: longest},
        "response_ms": chance.choice([0, BIGGEST, None]),
        "worker": longest,
        "error": {"category": "INTERNAL", "code": longest, "message": "ế" * 4096},
        "changes": [
            {"name": f"{number}", "before": longest, "after": None} for number in range(chance.choice([0, 1, 40]))
        ],
    }
    wild = event(ITEM, job, event_id, START, data)
    wild["time"] = _elsewhere(chance, chance.choice([EARLY, LATE, START]))
    parent = {"causationid": job, "traceparent": "00-" + "a" * 61}
    return wild | chance.choice([{}, parent, {"later": "x" * 50_000}])


def poison_item(chance: random.Random, good: Json) -> bytes | None:
    """A value for `jobs.items` that no reader can use, made from a good one."""
    data = good["data"]
    match chance.randrange(4):
        case 0:
            return chance.choice(_no_item(json.dumps(good).encode()))
        case 1:
            name = chance.choice([*NEEDED, *NEEDED_INSIDE])
            less = good | {"data": {key: value for key, value in data.items() if key != name}}
            return json.dumps({key: value for key, value in less.items() if key != name}).encode()
        case 2:
            return json.dumps(good | chance.choice(WRONG)).encode()
        case _:
            return json.dumps(good | {"data": data | chance.choice(WRONG_INSIDE)}).encode()


def _no_item(text: bytes) -> list[bytes | None]:
    cut = [b"", b"\xff\xfe not json", b'"text"', b"[1, 2]", b"{" * 5000, text[:-9], text + b"}"]
    return [None, *cut, b"\xef\xbb\xbf" + text, text.replace(b'"1.0"', b'"1.0\xff"')]


def letter(chance: random.Random, number: int) -> bytes | None:
    """A message of `jobs.dead-letters`: a service names a record that it refused; some name none that could be."""
    if chance.random() < 0.1:
        return chance.choice([None, b"no letter", b"{}"])
    service = chance.choice(["puller", "matcher", "syncer"])
    data: Json = {
        "topic": f"jobs.requests.{service}",
        "partition": chance.randrange(3),
        "offset": number,
        "consumer": service,
        "reason": "no JSON\0",
        "key": chance.choice([None, "demo/shop", "a\0b"]),
        "value": chance.choice([None, "{", "a\0b ế", '{"subject":"job-7"}', '{"subject":"no id"}']),
    }
    data |= chance.choice([{}, {"value": "/w==", "encoding": "base64"}, {"value": "/w=", "encoding": "base64"}])
    if chance.random() < 0.3:
        data |= chance.choice(
            [{"partition": 2**31}, {"consumer": "a\0b"}, {"topic": "a\0b"}, {"offset": -1}, {"reason": None}]
        )
    data |= chance.choice([{}, {"value_bytes": 3_000_000}, {"value_bytes": 0}, {"value_bytes": None}])
    named = chance.choice([{}, {"subject": f"job-{number}"}, {"subject": None}])
    whole = event("job.dead-letter.v1", "", f"{service}/{number}", START, data)
    return json.dumps({key: value for key, value in whole.items() if key != "subject"} | named).encode()


def _elsewhere(chance: random.Random, moment: datetime) -> str:
    """The same moment in another zone, where its text still has four digits of a year."""
    text = moment.astimezone(timezone(chance.choice(ZONES))).isoformat()
    return text if text[4] == "-" else moment.isoformat()
