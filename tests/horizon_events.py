"""Random jobs over many days for tests of the retention horizon: late, doubled, deleted and never ending ones."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 16


class Appended(NamedTuple):
    """An event with the broker's time."""

    at: datetime
    event: dict[str, Any]


def random_log(chance: random.Random, jobs: int = 120) -> list[Appended]:
    """The events of many jobs, and when they are appended: soon after their time, up to a week later, or twice."""
    log: list[Appended] = []
    for number in range(jobs):
        for event in _job(chance, f"job-{number:03}"):
            at = datetime.fromisoformat(event["time"])
            log.append(Appended(at + _delay(chance), event))
            if chance.random() < 0.25:
                log.append(Appended(at + timedelta(days=chance.uniform(0, 8)), event))
    return [one for one in log if one.at < BEGIN + DAYS * DAY]


def _delay(chance: random.Random) -> timedelta:
    return timedelta(days=chance.uniform(0, 5)) if chance.random() < 0.1 else timedelta(seconds=chance.uniform(0, 90))


def _job(chance: random.Random, job: str) -> list[dict[str, Any]]:
    at = BEGIN + timedelta(days=chance.uniform(0, DAYS - 1))
    info = {"type": chance.choice(["PULL_NHANH_PRODUCTS", "PRODUCT_SYNC"]), "account": f"shop-{chance.randrange(3)}"}
    step = timedelta(hours=chance.choice([0.001, 0.1, 2, 20]))
    asked = {"params": {"size": chance.randrange(9)}, "priority": "high", "requested_by": "Bình"}
    events = [_event("job.requested.v1", job, f"{job}/request", at, {"job": info, **asked})]
    if chance.random() < 0.07:
        return events
    copy = asked | {"id": f"{job}/request", "time": events[0]["time"]}
    seq, done, attempts = 0, 0, chance.choice([1, 1, 2])
    for attempt in range(attempts):
        at, seq = at + step, seq + 1
        begun = {"job": info, "attempt": attempt, "seq": seq, "request": copy, "worker": f"w{attempt}"}
        events.append(_event("job.started.v1", job, f"{job}/{attempt}/{seq}", at, begun))
        for _ in range(chance.randrange(4)):
            at, seq, done = at + step * chance.random(), seq + 1, done + chance.randrange(50)
            events.append(_progress(job, info, attempt, seq, done, at))
    if chance.random() < 0.12:
        return events
    at = at + step
    counters = {"total": 500, "processed": 500, "successful": 490, "failed": 4, "skipped": 6}
    ended = {"job": info, "attempt": attempts - 1, "seq": seq + 1, "outcome": chance.choice(["success", "failure"])}
    ended |= {"counters": counters, "metadata": {}, "error": None, "duration_ms": chance.randrange(10**6), "then": []}
    events.append(_event("job.finished.v1", job, f"{job}/end", at, ended))
    if attempts == 2 and chance.random() < 0.4:
        # A paused worker goes on and sends what the second attempt has overtaken.
        events.append(_progress(job, info, 0, 1, 7, at + timedelta(hours=chance.uniform(0, 20))))
    if chance.random() < 0.2:
        deleted = {"job": info, "requested_by": "Bình", "reason": "asked for"}
        at += timedelta(days=chance.uniform(0, 6))
        events.append(_event("job.deleted.v1", job, f"{job}/deleted", at, deleted))
    return events


def _progress(job: str, info: dict[str, str], attempt: int, seq: int, done: int, at: datetime) -> dict[str, Any]:
    counters = {"total": 500, "processed": done, "successful": done, "failed": 0, "skipped": 0}
    data = {"job": info, "attempt": attempt, "seq": seq, "phase": "reading", "counters": counters, "metadata": {}}
    return _event("job.progress.v1", job, f"{job}/{attempt}/{seq}", at, data)


def _event(kind: str, job: str, event_id: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": event_id,
        "source": "jobtrail/test/1",
        "subject": job,
        "time": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "tenant": "demo",
        "correlationid": f"chain-{job}",
        "data": data,
    }
