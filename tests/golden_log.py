"""A fixed log of jobs, items and dead letters, and the rows that an earlier version made of it.

The log consists of golden events and of a workload with a fixed seed, in an order that depends on the seed alone. No
code of a package makes it, so two versions of the packages read the same bytes. `expected_rows.json` beside the test
that uses it holds what the projector of commit cf2eb17, the last one before the redesign, wrote for this log.
"""

import hashlib
import json
import random
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

SEED = 19
GOLDEN = Path(__file__).parent.parent / "schemas" / "golden"
START = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)  # the log goes on past midnight
_JOBS = 40
_PARTITIONS = 3
# Named one by one: golden events that are added later must not change the log.
_LIFECYCLE = (
    *("job.requested.v1", "job.started.v1", "job.progress.v1", "job.finished.v1"),
    *("job.cancel.v1", "job.cancel.v1.with-job", "job.pause.v1", "job.resume.v1", "job.deleted.v1"),
)
_ITEMS, _DEAD_LETTERS = ("item.recorded.v1",), ("job.dead-letter.v1", "job.dead-letter.v1-sized")
_OUTCOMES = ("success", "partial", "failure", "error", "timeout", "cancelled", "skipped")
_TYPES = ("PULL_NHANH_PRODUCTS", "PRODUCT_SYNC", "MATCH_PRODUCTS", "TYPE_OF_ANOTHER_VERSION")
_LARGEST = 2**53 - 1
# Compared with other versions by a hash; of dead letters without their reasons, which are sentences for people.
_HASHED = {
    "event": 'SELECT * FROM tracker.event ORDER BY topic, partition, "offset"',
    "item": "SELECT * FROM tracker.item ORDER BY event_id",
    "rollup": (
        "SELECT tenant, account, job_type, status, day::text, jobs, processed, successful, failed, skipped, "
        "duration_ms FROM tracker.rollup WHERE jobs <> 0 ORDER BY tenant, account, job_type, status, rollup.day"
    ),
    "dead_letter": (
        'SELECT topic, partition, "offset", consumer, appended_at, job_id, key, value, value_bytes '
        'FROM tracker.dead_letter ORDER BY topic, partition, "offset", consumer'
    ),
}
Event = dict[str, Any]


class Message(NamedTuple):
    """One record of the log, in the order of the packages' own records."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None


def job_log() -> list[Message]:
    """What the job table is made from."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    values = [_golden(name) for name in _LIFECYCLE]
    values += [_encoded(event) for number in range(_JOBS) for event in _job(chance, number)]
    values += chance.choices(values, k=len(values) // 4)
    chance.shuffle(values)
    return _positioned([*values, *_invalid()], "jobs.events", "jobs.requests.puller")


def item_log() -> list[Message]:
    """What the table of items is made from, and the dead letters of other services."""
    chance = random.Random(SEED + 1)  # noqa: S311 - reproducible, not secret
    values = [_golden(name) for name in _ITEMS]
    values += [_encoded(_item(chance, number)) for number in range(60)]
    values += chance.choices(values, k=15)
    chance.shuffle(values)
    letters = [_golden(name) for name in _DEAD_LETTERS]
    return [
        *_positioned([*values, *_invalid()], "jobs.items", "jobs.items"),
        *_positioned(letters, "jobs.dead-letters", "jobs.dead-letters"),
    ]


def stored_rows(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """The tables: every job row in full, of the others the number of rows and a hash."""
    tables: dict[str, Any] = {
        "job": [_shown(row) for row in _rows(connection, "SELECT * FROM tracker.job ORDER BY job_id")]
    }
    for table, query in _HASHED.items():
        rows = [_shown(row) for row in _rows(connection, query)]
        digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
        tables[table] = {"rows": len(rows), "sha256": digest}
    return tables


def _golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def _encoded(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _positioned(values: list[bytes | None], topic: str, request_topic: str) -> list[Message]:
    """Each value at the next offset of its partition; all events of a job lie in one partition of a topic."""
    offsets: dict[tuple[str, int], int] = {}
    messages: list[Message] = []
    for number, value in enumerate(values):
        event = _read(value)
        name = request_topic if event.get("type") == "job.requested.v1" else topic
        key = str(event.get("subject", number)).encode()
        partition = zlib.crc32(key) % _PARTITIONS
        offset = offsets.get((name, partition), 0)
        offsets[name, partition] = offset + 1
        appended_at = START + timedelta(seconds=15 * number)
        messages.append(Message(name, partition, offset, appended_at, key, value))
    return messages


def _read(value: bytes | None) -> Event:
    try:
        event = json.loads(value or b"{}")
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _invalid() -> list[bytes | None]:
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    info = {"type": _TYPES[0], "account": "shop-0"}
    ahead = _finished(chance, "job-00", info, START + timedelta(days=30), "demo", 100)
    return [b"not json", None, b"[]", b'{"type":"job.unknown.v1"}', b"\xff\xfe", _encoded(ahead)]


def _event(kind: str, job_id: str, event_id: str, time: datetime, data: Event, tenant: str = "demo") -> Event:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": event_id,
        "source": "jobtrail/golden-log/1",
        "subject": job_id,
        "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "tenant": tenant,
        "correlationid": f"chain-{int(job_id[-2:]) // 3}",
        "data": data,
    }


def _job(chance: random.Random, number: int) -> Iterator[Event]:  # noqa: PLR0912 - each branch is one case of the log
    """The events of one job: some lack their request, some have two events of one key, some are deleted."""
    job_id, tenant = f"job-{number:02}", chance.choice(["demo", "khác"])
    info: Event = {"type": chance.choice(_TYPES), "account": f"shop-{number % 4}"}
    if number % 5 == 0:
        info |= {"batch": f"đợt-{number}", "about": {"product": "Áo thun \U0001f455"}}
    at = START - timedelta(minutes=chance.randrange(600), microseconds=chance.randrange(10**6))
    asked: Event = {"params": {"size": number}, "priority": chance.choice(["low", "high"]), "requested_by": "Bình"}
    if number % 6 == 0 and number:
        asked |= {"retryof": f"job-{number - 1:02}", "parents": [f"job-{number - 2:02}"]}
    requests = [
        _event("job.requested.v1", job_id, f"{job_id}/0/{n}", at, {"job": info, **asked}, tenant) for n in (0, 1)
    ]
    if number % 7:
        yield requests[0]
    if number % 11 == 1:
        yield requests[1]
    sequence, done = 0, 0
    for attempt in range(chance.randrange(4)):
        at += timedelta(seconds=chance.randrange(1, 90))
        sequence += 1
        copy = asked | {"id": requests[0]["id"], "time": requests[0]["time"]}
        data = {"job": info, "attempt": attempt, "seq": sequence, "request": copy, "worker": f"w{attempt}"}
        if number % 7 or attempt:
            yield _event("job.started.v1", job_id, f"{job_id}/{attempt}/{sequence}", at, data, tenant)
        for _ in range(chance.randrange(6)):
            at += timedelta(milliseconds=chance.randrange(1, 9000))
            sequence += 1
            done += chance.randrange(40)
            counters = {"total": chance.choice([None, 900]), "processed": done, "successful": done, "failed": 0}
            data = {"job": info, "attempt": attempt, "seq": sequence, "phase": chance.choice(["đọc", "ghi"])}
            data |= {"counters": counters | {"skipped": 0}, "metadata": {"speed": chance.random()}}
            if number == 17 and sequence == 3:  # a value that no event may hold
                data["metadata"] |= {"nul\0": "\0"}
            for copies in range(2 if chance.random() < 0.1 else 1):  # two events of one key: the greater bytes win
                data = data | {"metadata": data["metadata"] | {"copy": copies}}
                event_id = f"{job_id}/{attempt}/{sequence}" + "+" * copies
                yield _event("job.progress.v1", job_id, event_id, at, data, tenant)
    if chance.random() < 0.7:
        yield _finished(chance, job_id, info, at, tenant, sequence)
    if number % 9 == 4:
        for n in (1, 0):
            data = {"job": info, "requested_by": "lan", "reason": f"trial {n}"}
            later = at + timedelta(hours=n)
            yield _event("job.deleted.v1", job_id, f"{job_id}/deleted/{n}", later, data, tenant)
    if number % 13 == 2:
        target = {"kind": "job", "job_id": job_id}
        data = {"target": target, "requested_by": "lan", "reason": "a trial"}
        yield _event("job.cancel.v1", job_id, f"{job_id}/cancel/1", at, data, tenant)


def _finished(chance: random.Random, job_id: str, info: Event, at: datetime, tenant: str, sequence: int) -> Event:
    outcome = chance.choice(_OUTCOMES)
    total = chance.choice([500, _LARGEST])
    counters = {"total": total, "processed": total, "successful": total - 10, "failed": 4, "skipped": 6}
    failed = outcome in {"failure", "error", "timeout"}
    data = {
        "job": info,
        "attempt": chance.randrange(3),
        "seq": sequence + 1,
        "outcome": outcome,
        "counters": counters,
        "metadata": {"held": 3} if outcome == "partial" else {},
        "error": {"category": "TIMEOUT", "code": "504", "message": "không trả lời"} if failed else None,
        "duration_ms": chance.choice([chance.randrange(100_000), _LARGEST]),
        "then": [],
    }
    return _event("job.finished.v1", job_id, f"{job_id}/end", at + timedelta(seconds=1), data, tenant)


def _item(chance: random.Random, number: int) -> Event:
    event = json.loads(_golden("item.recorded.v1"))
    job_id = f"job-{number % 5:02}"
    at = START - timedelta(seconds=chance.randrange(5000))
    event |= {"id": f"{job_id}/{number % 20}/0", "subject": job_id}
    event["time"] = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    event["data"] |= {"item": f"món-{number}", "response_ms": chance.randrange(900)}
    return event


def _rows(connection: psycopg.Connection[Any], query: str) -> list[Event]:
    cursor = connection.execute(query)  # pyright: ignore[reportCallIssue, reportArgumentType] - constants of this file
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _shown(row: Event) -> Event:
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
