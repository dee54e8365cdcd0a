"""The workload: seeded jobs as raw JSON, valid, odd and unreadable, without code under test."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.chaos.item_workload import ITEM, again, item, letter, poison_item, wild_item
from tests.chaos.messages import BIGGEST, EARLY, LATE, START, Json, Message, event

SERVICES = ("puller", "matcher", "syncer")
OUTCOMES = ("success", "partial", "failure", "error", "timeout", "cancelled", "skipped")


@dataclass(frozen=True, slots=True)
class Mix:
    """How odd the stream is, as shares from 0 to 1."""

    twice: float = 0.1  # events that come a second time, later
    poison: float = 0.01  # records that no consumer can use, for each good one
    wild: float = 0.05  # jobs with counters, clocks and sizes at the ends of what is allowed
    disorder: float = 0.5  # jobs whose events come in another order, or late, or first the end
    elsewhere: float = 0.02  # events under a wrong key, so on another partition than the rest of their job
    items: float = 0.25  # signs of life that an item comes with
    letters: float = 0.005  # letters of services about what they refused, for each good record


@dataclass(slots=True)
class Workload:
    """An endless stream for one producer. Two with one seed and one name give the same messages."""

    seed: str
    name: str
    mix: Mix = field(default_factory=Mix)
    in_flight: int = 40
    chance: random.Random = field(init=False)
    made: int = field(init=False, default=0)
    letters: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.name}")  # noqa: S311 - reproducible, not secret

    def messages(self, more: Callable[[], bool]) -> Iterator[Message]:
        """Messages of many jobs at once; when `more` says no, the begun ones go on to their ends.

        The first `in_flight` jobs are begun whatever it says: an end that comes at once leaves a short stream.
        """
        open_jobs: list[list[Json]] = []
        later: list[Message] = []
        while True:
            going_on = more() or self.made < self.in_flight
            while going_on and len(open_jobs) < self.in_flight:
                open_jobs.append(self.job())
            if not open_jobs:
                yield from later
                return
            if later and self.chance.random() < 0.1:
                yield later.pop(self.chance.randrange(len(later)))
            job = self.chance.choice(open_jobs)
            said = job.pop(0)
            if not job:
                open_jobs.remove(job)
            message = self._message(said)
            yield message
            if self.chance.random() < self.mix.twice:
                later.append(message)
            if self.chance.random() < self.mix.poison:
                yield self._poison(said)
            if self.chance.random() < self.mix.letters:
                yield self._letter()

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
        events = [event("job.requested.v1", job, f"{job}/request", at, {"job": info, **asked})]
        if chance.random() < 0.05:
            target = {"target": {"kind": "job", "job_id": job}, "requested_by": "Bình", "reason": "wrong shop"}
            events.append(event("job.pause.v1", job, f"{job}/pause", at, target))
        copy = asked | {"id": f"{job}/request", "time": events[0]["time"]}
        attempts, finished = chance.randrange(1, 4), chance.random() < 0.7
        for attempt in range(1, attempts + 1):
            at += timedelta(milliseconds=chance.randrange(1, 50_000))
            data: Json = {"job": info, "attempt": attempt, "seq": 1, "request": copy, "worker": f"w{attempt}"}
            events.append(event("job.started.v1", job, f"{job}/{attempt}/1", at, data))
            done = 0
            # An attempt that was overtaken goes on counting for a while: its seq outgrows its successor's.
            for seq in range(2, 2 + chance.randrange(2, 6) * (attempts + 1 - attempt)):
                at += timedelta(milliseconds=chance.randrange(1, 5_000))
                done += chance.randrange(30)
                events.append(self._progress(job, info, (attempt, seq), at, done))
                events += self._items(job, info, attempt, at)
        if finished:
            end = self._end(job, info, (attempts, 100), at + timedelta(seconds=1))
            events.append(end)
            if chance.random() < 0.1:
                gone = {"job": info, "requested_by": "Bình", "reason": "asked for"}
                events.append(event("job.deleted.v1", job, f"{job}/deleted", at + timedelta(days=1), gone))
                events.append(item(chance, job, info, attempts, at + timedelta(days=2)))  # it was on its way
            if chance.random() < 0.5:  # one last sign of life, sent after the end
                events.append(self._progress(job, info, (attempts, 101), at + timedelta(seconds=2), 500))
        return events

    def _items(self, job: str, info: Json, attempt: int, at: datetime) -> list[Json]:
        """Mostly none; sometimes one, and sometimes that one again."""
        if self.chance.random() >= self.mix.items:
            return []
        first = item(self.chance, job, info, attempt, at)
        return [first, again(self.chance, first)] if self.chance.random() < 0.15 else [first]

    def _progress(self, job: str, info: Json, key: tuple[int, int], at: datetime, done: int) -> Json:
        attempt, seq = key
        failed = done // 10
        counters = {"total": 500, "processed": done, "successful": done - failed, "failed": failed, "skipped": 0}
        data = {"job": info, "attempt": attempt, "seq": seq, "phase": self.chance.choice(["reading", "writing"])}
        metadata = {"speed": self.chance.randrange(100) / 4, "từ": "Hà Nội"} if self.chance.random() < 0.3 else {}
        body = data | {"counters": counters, "metadata": metadata}
        return event("job.progress.v1", job, f"{job}/{attempt}/{seq}", at, body)

    def _end(self, job: str, info: Json, key: tuple[int, int], at: datetime) -> Json:
        attempt, seq = key
        outcome = self.chance.choice(OUTCOMES)
        counters = {"total": 500, "processed": 500, "successful": 490, "failed": 4, "skipped": 6}
        error = {"category": "TIMEOUT", "code": "504", "message": "gone"} if outcome == "timeout" else None
        data = {"job": info, "attempt": attempt, "seq": seq, "outcome": outcome, "counters": counters}
        rest = {"metadata": {"pages": 3}, "error": error, "duration_ms": self.chance.randrange(100_000), "then": []}
        return event("job.finished.v1", job, f"{job}/{attempt}/{seq}", at, data | rest)

    def _wild(self, job: str) -> list[Json]:
        """At the ends of what the contract allows, with two different events under one key."""
        chance = self.chance
        info = {"type": "X" * chance.choice([1, 128]), "account": "ế" * 128}
        attempt = chance.choice([0, 7, 2**31 - 1])
        events: list[Json] = []
        for seq in (0, BIGGEST, BIGGEST):
            progress = self._progress(job, info, (attempt, seq), chance.choice([EARLY, LATE, START]), 0)
            numbers = [chance.choice([0, BIGGEST, chance.randrange(BIGGEST)]) for _ in range(4)]
            progress["data"]["counters"] = dict(
                zip(("processed", "successful", "failed", "skipped"), numbers, strict=True), total=None
            )
            events.append(progress)
        if chance.random() < 0.1:
            events[0]["data"]["metadata"] = {"large": "x" * 1_000_000}  # a megabyte
        for _ in range(chance.randrange(3)):  # several ends under one key: the greater bytes win
            end = self._end(job, info, (attempt, BIGGEST), chance.choice([EARLY, LATE]))
            end["data"]["duration_ms"] = BIGGEST
            events.append(end)
        return events + [wild_item(chance, job, info) for _ in range(chance.randrange(3))]

    def _disorder(self, events: list[Json]) -> None:
        chance = self.chance
        match chance.randrange(4):
            case 0:
                chance.shuffle(events)
            case 1:  # the end comes before the start
                events.reverse()
            case 2:  # the first attempt's events come last of all
                oldest = [said for said in events if said["data"].get("attempt") == 1]
                events[:] = [said for said in events if said["data"].get("attempt") != 1] + oldest
            case _:  # some are never sent
                events[:] = [said for said in events if chance.random() < 0.7] or events[:1]

    def _message(self, said: Json) -> Message:
        value = json.dumps(said, ensure_ascii=self.chance.random() < 0.5).encode()
        if said["type"] in {"job.requested.v1", "job.pause.v1"}:
            service = SERVICES[hash_of(said["subject"]) % len(SERVICES)]
            return Message(f"jobs.requests.{service}", b"demo/shop", value)
        key = said["subject"].encode()
        if self.chance.random() < self.mix.elsewhere:
            key = self.chance.choice([None, b"elsewhere-%d" % self.chance.randrange(100)])
        return Message("jobs.items" if said["type"] == ITEM else "jobs.events", key, value)

    def _letter(self) -> Message:
        """Two letters about one record have its key, and so one partition: the last of them stays."""
        self.letters += 1
        return Message("jobs.dead-letters", b"demo/shop-%d" % (self.letters % 5), letter(self.chance, self.letters))

    def _poison(self, said: Json) -> Message:
        own, other = ("jobs.items", "jobs.events") if said["type"] == ITEM else ("jobs.events", "jobs.items")
        key = self.chance.choice([None, b"poison"])
        if self.chance.random() < 0.1:  # good, but not on this topic
            return Message(other, key, json.dumps(said).encode())
        return Message(own, key, poison_item(self.chance, said) if own == "jobs.items" else self._poison_event(said))

    def _poison_event(self, said: Json) -> bytes | None:
        data = said["data"]
        counters = data.get("counters") or {"processed": 0}

        def changed(inside: Json | None = None, **outside: Any) -> bytes:
            return json.dumps(said | outside | {"data": data | (inside or {})}).encode()

        return self.chance.choice(
            [
                b"\xff\xfe not json",
                b"",
                b"[1, 2]",
                b"{" * 5000,
                changed({"deep": 0}).replace(b'"deep": 0', b'"deep": ' + b"[" * 600 + b"]" * 600),
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


def hash_of(text: str) -> int:
    """The same number in every process."""
    return sum(text.encode())
