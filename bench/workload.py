"""The workload: a seeded stream of valid lifecycle events, generated lazily, so that its size needs no memory.

Every job has one start, some progress and one finish, about 380 bytes of data each. At any time `in_flight` jobs are in
progress; the next event belongs to a random one of them.
"""

import json
import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from job_events.envelope import encode
from job_events.events import (
    Counters,
    Finished,
    FinishedData,
    JobInfo,
    Lifecycle,
    Outcome,
    Progress,
    ProgressData,
    RequestCopy,
    Started,
    StartedData,
)
from job_events.job_types import JOB_TYPES

BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=1)  # between two events of the stream
EVENTS_A_JOB = 15
ITEMS_A_STEP = 97  # items that a job gets done between two events
LATE, TWICE = 0.05, 0.05  # shares of a shaken stream
CALM_JOBS = 60  # behind a shaken stream: enough for every partition to have some
_TYPES = sorted(JOB_TYPES)
_OUTCOMES: tuple[Outcome, ...] = ("success", "partial", "failure", "error", "cancelled")


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a workload: `jobs` times `events_a_job` events, `in_flight` jobs at once, generated from `seed`."""

    jobs: int = 60_000
    events_a_job: int = EVENTS_A_JOB
    in_flight: int = 2_000
    seed: int = 4

    @property
    def events(self) -> int:
        return self.jobs * self.events_a_job

    @classmethod
    def of_events(cls, events: int) -> "Shape":
        """The usual shape at another size; `events` is rounded down to whole jobs."""
        return cls(jobs=max(1, events // EVENTS_A_JOB))


class Message(NamedTuple):
    """One record for Kafka: the key is the job id. `processed` is the event's own counter, which only grows."""

    key: bytes
    value: bytes
    processed: int


class Row(NamedTuple):
    """The right final state of a job. `finished_at` is in UTC."""

    state: str
    total: int
    processed: int
    successful: int
    failed: int
    skipped: int
    finished_at: datetime | None


class _Job:
    """A job in progress: the content that its events repeat, and its position."""

    __slots__ = ("begun", "chain", "id", "info", "request", "seq", "source", "tenant", "total")

    def __init__(self, number: int, chance: random.Random, moment: datetime, events: int) -> None:
        self.id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        self.chain = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        self.tenant = f"tenant-{number % 20:02}"
        shop = f"shop-{number % 200:03}"
        job_type = _TYPES[number % len(_TYPES)]
        self.source = f"jobtrail/{JOB_TYPES[job_type].service}/worker-{number % 16:02}"
        self.info = JobInfo(job_type, shop, f"nightly-{moment:%Y-%m-%d}", {"platform": "shopify", "shop": shop})
        self.request = RequestCopy(
            id=f"{self.id}/0/0",
            time=moment - TICK,
            params={"page_size": 100, "filters": {"updatedFrom": "2026-10-31T00:00:00Z", "status": "active"}},
            requested_by=f"schedule/nightly-{number % 40:02}",
        )
        self.total = ITEMS_A_STEP * (events - 1)
        self.begun = moment
        self.seq = 0

    def next(self, chance: random.Random, moment: datetime, last: bool) -> Lifecycle:
        """The job's next event: a start, then progress, then the finish where it is the `last`."""
        self.seq += 1
        seq = self.seq
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"{self.id}/1/{seq}",
            "source": self.source,
            "job_id": self.id,
            "time": moment,
            "tenant": self.tenant,
            "correlationid": self.chain,
        }
        if seq == 1:
            data = StartedData(
                job=self.info, attempt=1, seq=seq, request=self.request, worker=self.source, total=self.total
            )
            return Started(**attributes, data=data)
        done = ITEMS_A_STEP * (seq - 1)
        failed, skipped = done // 50, done // 20
        counters = Counters(self.total, done, done - failed - skipped, failed, skipped)
        metadata = {
            "pages": seq * 4,
            "cursor": f"eyJsYXN0X2lkIjo{chance.getrandbits(64):016x}",
            "created": done // 3,
            "updated": done // 4,
            "rateLimitHits": seq % 3,
            "speed": round(chance.uniform(20, 120), 2),
        }
        if not last:
            phase = "reading" if seq % 2 else "writing"
            data = ProgressData(job=self.info, attempt=1, seq=seq, phase=phase, counters=counters, metadata=metadata)
            return Progress(**attributes, data=data)
        data = FinishedData(
            job=self.info,
            attempt=1,
            seq=seq,
            outcome=chance.choice(_OUTCOMES),
            counters=counters,
            metadata=metadata,
            duration_ms=(moment - self.begun) // TICK,
        )
        return Finished(**attributes, data=data)


def messages(shape: Shape) -> Iterator[Message]:
    """The stream in order: each job's events come one after the other, those of different jobs mixed."""
    chance = random.Random(shape.seed)  # noqa: S311 - reproducible, not secret
    moment = BEGIN
    begun = 0
    in_progress: list[_Job] = []
    while begun < shape.jobs or in_progress:
        moment += TICK
        if begun < shape.jobs and len(in_progress) < shape.in_flight:
            # The first round begins all of them, later ones take the place of a job that has ended.
            place = len(in_progress)
            in_progress.append(_Job(begun, chance, moment, shape.events_a_job))
            begun += 1
        else:
            place = chance.randrange(len(in_progress))
        job = in_progress[place]
        last = job.seq + 1 == shape.events_a_job
        value = encode(job.next(chance, moment, last))
        yield Message(job.id.encode(), value, ITEMS_A_STEP * (job.seq - 1))
        if last:
            in_progress[place] = in_progress[-1]
            in_progress.pop()


def shaken(shape: Shape, late: float = LATE, twice: float = TWICE) -> list[Message]:
    """The stream as a bad network and several workers deliver it: some events are late, some are duplicated.

    A late event, and the second copy of an event, comes up to a job's lifetime behind its place, so often
    behind the finish of its job. Some calm jobs follow, so that each partition ends with a finish and it
    can be seen that all is read. All in memory: for some hundred thousand events.
    """
    chance = random.Random(shape.seed + 1)  # noqa: S311 - reproducible, not secret
    lifetime = shape.in_flight * shape.events_a_job
    placed: list[tuple[float, Message]] = []
    for place, message in enumerate(messages(shape)):
        delay = chance.uniform(0, lifetime) if chance.random() < late else 0.0
        placed.append((place + delay, message))
        if chance.random() < twice:
            placed.append((place + chance.uniform(0, lifetime), message))
    placed.sort(key=lambda pair: pair[0])
    calm = Shape(jobs=CALM_JOBS, events_a_job=shape.events_a_job, in_flight=10, seed=shape.seed + 2)
    return [*(message for _, message in placed), *messages(calm)]


def expected(stream: Iterable[Message]) -> dict[str, Row]:
    """The right final row of every job, from the raw JSON: a finish beats all, else the last number wins."""
    last: dict[str, dict[str, Any]] = {}
    rank: dict[str, tuple[bool, int, int]] = {}
    for message in stream:
        event = json.loads(message.value)
        job, data = event["subject"], event["data"]
        mine = (event["type"] == "job.finished.v1", data["attempt"], data["seq"])
        if mine > rank.get(job, (False, -1, -1)):
            last[job], rank[job] = event, mine
    return {job: _row(event) for job, event in last.items()}


def _row(event: dict[str, Any]) -> Row:
    data = event["data"]
    finished = event["type"] == "job.finished.v1"
    counters = data.get("counters") or {"total": data["total"]}
    return Row(
        "finished" if finished else "running",
        counters["total"],
        counters.get("processed", 0),
        counters.get("successful", 0),
        counters.get("failed", 0),
        counters.get("skipped", 0),
        datetime.fromisoformat(event["time"]) if finished else None,
    )
