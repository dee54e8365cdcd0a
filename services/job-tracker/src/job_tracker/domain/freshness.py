"""The freshness of a snapshot of the tables, from positions, ends of the topics and heartbeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from job_events.tokens import Positions, encode_token

_TABLE = 0xFFFF_FFFF  # the bits of an epoch that number the table; those above count sweeps


class Watermark(msgspec.Struct, frozen=True, array_like=True):
    """How far one partition has been read. Offsets are those of the next record; times are the database's but one.

    `applied_at`: LogAppendTime of the last applied record, by the broker's clock. `checked_at`: when Kafka was last
    asked for the end. `reached_at`: when it was last asked and the answer had already been read. `late_events`: how
    many changed no row, because their own time was behind the horizon when they came.
    """

    topic: str
    partition: int
    next_offset: int
    applied_at: datetime | None
    end_offset: int | None
    checked_at: datetime | None
    reached_at: datetime | None
    late_events: int = 0

    @property
    def lag(self) -> int:
        """Events known to be in the log and not in the table."""
        return max(0, (self.end_offset or 0) - self.next_offset)

    @property
    def as_of(self) -> datetime | None:
        """All that was appended until then is in the table."""
        if self.end_offset is not None and not self.lag:
            return self.checked_at
        known = [time for time in (self.applied_at, self.reached_at) if time is not None]
        return max(known) if known else None

    def shown(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "partition": self.partition,
            "next_offset": self.next_offset,
            "end_offset": self.end_offset,
            "lag_events": self.lag,
            "as_of": self.as_of,
            "applied_at": self.applied_at,
            "late_events": self.late_events,
        }


class Instance(msgspec.Struct, frozen=True, array_like=True):
    """The last heartbeat of a projector; it is not `alive` when that is some seconds old."""

    instance: str
    state: str
    detail: str
    beat_at: datetime
    alive: bool

    def shown(self) -> dict[str, Any]:
        return {
            "instance": self.instance,
            "state": self.state if self.alive else "dead",
            "detail": self.detail,
            "beat_at": self.beat_at,
        }

    def sentence(self) -> str:
        """The state in one sentence."""
        does = self.state if self.alive else f"is silent since {self.beat_at.isoformat()}"
        return f"{self.instance} {does}" + (f": {self.detail}" if self.detail else "")


class PartitionFault(msgspec.Struct, frozen=True, array_like=True):
    """A partition that no projector reads since `since`; of a topic that is missing the partition is -1."""

    topic: str
    partition: int
    reason: str
    since: datetime

    def shown(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "partition": self.partition if self.partition >= 0 else None,
            "reason": self.reason,
            "since": self.since,
        }

    def is_of(self, topic: str, partition: int) -> bool:
        return self.topic == topic and self.partition in {partition, -1}


class Freshness(msgspec.Struct, frozen=True):
    """`as_of`: everything appended to the log until then is in this answer; null while nothing is known.

    `lag_events` counts events known to lie in the log and not in the table. `alive` says whether a
    projector is at work: an idle log is fresh, a dead projector is not, and only this tells them apart. `state` is
    partial where one works, but not on all topics: then `as_of` does not advance.
    """

    token: str
    as_of: datetime | None
    lag_events: int
    lag_seconds: float | None
    alive: bool
    state: str

    def headers(self) -> dict[str, str]:
        lag = "unknown" if self.lag_seconds is None else f"{self.lag_seconds:.3f}"
        return {
            "Jobtrail-Freshness": self.token,
            "Jobtrail-Lag": lag,
            "Jobtrail-Lag-Events": str(self.lag_events),
            "Jobtrail-Projector": self.state,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a projection stands in one snapshot, whose time is `now`.

    `epoch` is another number after the job table was swapped for a rebuilt one, or after a sweep has deleted rows of
    it. Jobs that ended before `horizon` are forgotten (None: none is).
    """

    now: datetime
    epoch: int
    partitions: Sequence[Watermark]
    projectors: Sequence[Instance]
    faults: Sequence[PartitionFault] = ()
    topics: Sequence[str] = ()
    horizon: datetime | None = None

    @property
    def positions(self) -> Positions:
        return {(one.topic, one.partition): one.next_offset for one in self.partitions}

    def reason_to_begin_again(self, epoch: int | None) -> str | None:
        """Why what was read of the table with the number `epoch` (None: any) is void; None if it is not."""
        if epoch is None or epoch == self.epoch:
            return None
        same_table = (epoch ^ self.epoch) & _TABLE == 0
        return "jobs that ended before the horizon left the table" if same_table else "the table was rebuilt"

    @property
    def freshness(self) -> Freshness:
        return assess(self.partitions, self.projectors, self.now, self.faults, self.topics)


def assess(
    partitions: Sequence[Watermark],
    projectors: Sequence[Instance],
    now: datetime,
    faults: Sequence[PartitionFault] = (),
    topics: Sequence[str] = (),
) -> Freshness:
    """Freshness of all partitions together: as fresh as the one that is furthest behind.

    Of a topic of which no partition is known, nothing is fresh.
    """
    token = encode_token({(one.topic, one.partition): one.next_offset for one in partitions})
    times = [_as_of(one, faults) for one in partitions]
    times += [None for _ in set(topics) - {one.topic for one in partitions}]
    known = [time for time in times if time is not None]
    as_of = min(known) if known and len(known) == len(times) else None
    at_work = any(one.alive and one.state in {"running", "partial"} for one in projectors)
    newest = max(projectors, key=lambda one: one.beat_at, default=None)
    state = "none" if newest is None else newest.state if newest.alive else "dead"
    if at_work:
        state = "partial" if faults else "running"
    return Freshness(
        token=token,
        as_of=as_of,
        lag_events=sum(one.lag for one in partitions),
        lag_seconds=max(0.0, (now - as_of).total_seconds()) if as_of else None,
        alive=at_work,
        state=state,
    )


def _as_of(one: Watermark, faults: Sequence[PartitionFault]) -> datetime | None:
    times = [fault.since for fault in faults if fault.is_of(one.topic, one.partition)]
    return min([one.as_of, *times]) if one.as_of is not None else None
