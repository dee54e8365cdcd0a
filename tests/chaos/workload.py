"""What the producers send: jobs as raw JSON made from a seed, good, odd and unreadable, by no code under test."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SERVICES = ("puller", "matcher", "syncer")
OUTCOMES = ("success", "partial", "failure", "error", "timeout", "cancelled", "skipped")
BIGGEST = 2**53 - 1
Json = dict[str, Any]


class Message(NamedTuple):
    """One record to produce. `topic` is a name of the contract, without the run's prefix."""

    topic: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Mix:
    """How odd the stream is, as shares from 0 to 1."""

    twice: float = 0.1  # events that come a second time, later
    poison: float = 0.01  # records that no consumer can use, for each good one
    wild: float = 0.05  # jobs with counters, clocks and sizes at the ends of what is allowed
    disorder: float = 0.5  # jobs whose events come in another order, or late, or first the end
    elsewhere: float = 0.02  # events under a wrong key, so on another partition than the rest of their job


def stamp(moment: datetime) -> str:
    """A time whose text sorts as the time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Workload:
    """An endless stream for one producer. Two with one seed and one name give the same messages."""

    seed: str
    name: str
    mix: Mix = field(default_factory=Mix)
    in_flight: int = 40
    chance: random.Random = field(init=False)
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.name}")  # noqa: S311 - reproducible, not secret

    def messages(self, more: Callable[[], bool]) -> Iterator[Message]:
        """Messages of many jobs at once; when `more` says no, the begun ones go on to their ends."""
        open_jobs: list[list[Json]] = []
        later: list[Message] = []
        while True:
            going_on = more()
            while going_on and len(open_jobs) < self.in_flight:
                open_jobs.append(self.job())
            if not open_jobs:
                yield from later
                return
            if later and self.chance.random() < 0.1:
                yield later.pop(self.chance.randrange(len(later)))
            job = self.chance.choice(open_jobs)
            event = job.pop(0)
            if not job:
                open_jobs.remove(job)
            message = self._message(event)
            yield message
            if self.chance.random() < self.mix.twice:
                later.append(message)
            if self.chance.random() < self.mix.poison:
                yield self._poison(event)

    def job(self) -> list[Json]:
        """The events of one job in the order in which they are sent."""
        chance = self.chance
        self.made += 1
        wild = chance.random() < self.mix.wild
        job = f"{'wild' if wild else 'tame'}-{self.name}-{self.made}"
        events = self._wild(job) if wild else self._tame(job)
        if chance.random() < self.mix.disorder:
            self._disorder(events)
        return events

    def _tame(self, job: str) -> list[Json]:
        """As the emitters behave: rising counters within an attempt, processed never above total."""
        chance = self.chance
        at = START + timedelta(seconds=self.made, microseconds=chance.randrange(1_000_000))
        info: Json = {"type": chance.choice(["PULL_NHANH_PRODUCTS", "PRODUCT_SYNC"]), "account": f"shop-{job[-1]}"}
        if chance.random() < 0.3:
            info |= {"batch": f"batch-{self.made % 7}", "about": {"tool": "chaos"}}
        asked: Json = {"params": {"size": self.made}, "priority": "high", "requested_by": "Bình"}
        events = [_event("job.requested.v1", job, f"{job}/request", at, {"job": info, **asked})]
        if chance.random() < 0.05:
            target = {"target": {"kind": "job", "job_id": job}, "requested_by": "Bình", "reason": "wrong shop"}
            events.append(_event("job.pause.v1", job, f"{job}/pause", at, target))
        copy = asked | {"id": f"{job}/request", "time": events[0]["time"]}
        attempts, finished = chance.randrange(1, 4), chance.random() < 0.7
        for attempt in range(1, attempts + 1):
            at += timedelta(milliseconds=chance.randrange(1, 50_000))
            data: Json = {"job": info, "attempt": attempt, "seq": 1, "request": copy, "worker": f"w{attempt}"}
            events.append(_event("job.started.v1", job, f"{job}/{attempt}/1", at, data))
            done = 0
            # An attempt that was overtaken goes on counting for a while: its seq outgrows its successor's.
            for seq in range(2, 2 + chance.randrange(2, 6) * (attempts + 1 - attempt)):
                at += timedelta(milliseconds=chance.randrange(1, 5_000))
                done += chance.randrange(30)
                events.append(self._progress(job, info, (attempt, seq), at, done))
        if finished:
            end = self._end(job, info, (attempts, 100), at + timedelta(seconds=1))
            events.append(end)
            if chance.random() < 0.1:
                gone = {"job": info, "requested_by": "Bình", "reason": "asked for"}
                events.append(_event("job.deleted.v1", job, f"{job}/deleted", at + timedelta(days=1), gone))
            if chance.random() < 0.5:  # one last sign of life, sent after the end
                events.append(self._progress(job, info, (attempts, 101), at + timedelta(seconds=2), 500))
        return events

    def _progress(self, job: str, info: Json, key: tuple[int, int], at: datetime, done: int) -> Json:
        attempt, seq = key
        failed = done // 10
        counters = {"total": 500, "processed": done, "successful": done - failed, "failed": failed, "skipped": 0}
        data = {"job": info, "attempt": attempt, "seq": seq, "phase": self.chance.choice(["reading", "writing"])}
        metadata = {"speed": self.chance.randrange(100) / 4, "từ": "Hà Nội"} if self.chance.random() < 0.3 else {}
        body = data | {"counters": counters, "metadata": metadata}
        return _event("job.progress.v1", job, f"{job}/{attempt}/{seq}", at, body)

    def _end(self, job: str, info: Json, key: tuple[int, int], at: datetime) -> Json:
        attempt, seq = key
        outcome = self.chance.choice(OUTCOMES)
        counters = {"total": 500, "processed": 500, "successful": 490, "failed": 4, "skipped": 6}
        error = {"category": "TIMEOUT", "code": "504", "message": "gone"} if outcome == "timeout" else None
        data = {"job": info, "attempt": attempt, "seq": seq, "outcome": outcome, "counters": counters}
        rest = {"metadata": {"pages": 3}, "error": error, "duration_ms": self.chance.randrange(100_000), "then": []}
        return _event("job.finished.v1", job, f"{job}/{attempt}/{seq}", at, data | rest)

    def _wild(self, job: str) -> list[Json]:
        """At the ends of what the contract allows, with two different events under one key."""
        chance = self.chance
        info = {"type": "X" * chance.choice([1, 128]), "account": "ế" * 128}
        early, late = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        attempt = chance.choice([0, 7, 2**31 - 1])
        events: list[Json] = []
        for seq in (0, BIGGEST, BIGGEST):
            event = self._progress(job, info, (attempt, seq), chance.choice([early, late, START]), 0)
            numbers = [chance.choice([0, BIGGEST, chance.randrange(BIGGEST)]) for _ in range(4)]
            event["data"]["counters"] = dict(
                zip(("processed", "successful", "failed", "skipped"), numbers, strict=True), total=None
            )
            events.append(event)
        if chance.random() < 0.1:
            events[0]["data"]["metadata"] = {"large": "x" * 1_000_000}  # a megabyte
        for _ in range(chance.randrange(3)):  # several ends under one key: the greater bytes win
            end = self._end(job, info, (attempt, BIGGEST), chance.choice([early, late]))
            end["data"]["duration_ms"] = BIGGEST
            events.append(end)
        return events

    def _disorder(self, events: list[Json]) -> None:
        chance = self.chance
        match chance.randrange(4):
            case 0:
                chance.shuffle(events)
            case 1:  # the end comes before the start
                events.reverse()
            case 2:  # the first attempt's events come last of all
                oldest = [event for event in events if event["data"].get("attempt") == 1]
                for event in oldest:
                    events.remove(event)
                events.extend(oldest)
            case _:  # some are never sent
                events[:] = [event for event in events if chance.random() < 0.7] or events[:1]

    def _message(self, event: Json) -> Message:
        value = json.dumps(event, ensure_ascii=self.chance.random() < 0.5).encode()
        if event["type"] in {"job.requested.v1", "job.pause.v1"}:
            service = SERVICES[hash_of(event["subject"]) % len(SERVICES)]
            return Message(f"jobs.requests.{service}", b"demo/shop", value)
        key = event["subject"].encode()
        if self.chance.random() < self.mix.elsewhere:
            key = self.chance.choice([None, b"elsewhere-%d" % self.chance.randrange(100)])
        return Message("jobs.events", key, value)

    def _poison(self, event: Json) -> Message:
        data = event["data"]
        counters = data.get("counters") or {"processed": 0}

        def changed(inside: Json | None = None, **outside: Any) -> bytes:
            return json.dumps(event | outside | {"data": data | (inside or {})}).encode()

        value = self.chance.choice(
            [
                b"\xff\xfe not json",
                b"",
                b"[1, 2]",
                b"{" * 5000,
                None,
                changed(type="job.exploded.v1"),
                changed(type="job.progress.v9"),
                changed(subject="no spaces allowed"),
                changed(subject=None),
                changed(time="9999-01-01T00:00:00Z"),
                changed(time="yesterday"),
                changed(tenant=""),
                changed(specversion="0.3"),
                changed({"job": {"type": "", "account": "a"}}),
                changed({"job": {"type": "A\x00B", "account": "a"}}),
                changed({"attempt": -1}, type="job.progress.v1"),
                changed({"counters": counters | {"processed": -1}, "phase": "x"}, type="job.progress.v1"),
                changed({"counters": counters | {"processed": 2**60}, "phase": "x"}, type="job.progress.v1"),
            ]
        )
        return Message("jobs.events", self.chance.choice([None, b"poison"]), value)


def hash_of(text: str) -> int:
    """The same number in every process."""
    return sum(text.encode())


def _event(kind: str, job: str, event_id: str, at: datetime, data: Json) -> Json:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": event_id,
        "source": "jobtrail/chaos/1",
        "subject": job,
        "time": stamp(at),
        "tenant": "demo",
        "correlationid": f"chain-{job}",
        "data": data,
    }
