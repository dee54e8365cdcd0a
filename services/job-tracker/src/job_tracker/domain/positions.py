"""Vectors of positions: how two of them compare, and the ranges of the log that lie between them."""

from collections.abc import Iterator
from typing import NamedTuple

from job_events.tokens import Positions

JOBS_PROJECTION = "tracker-jobs"  # behind the prefix of the topics: the name of the positions of the job table
MAX_BEHIND = 20_000  # events; a reader further behind is sent the newest jobs instead of the way to them


class Range(NamedTuple):
    """Offsets of one partition from `low` up to, not including, `high`."""

    topic: str
    partition: int
    low: int
    high: int


def covers(reached: Positions, wanted: Positions) -> bool:
    """Whether `reached` lies nowhere before `wanted`; a partition that is missing stands at 0."""
    return all(reached.get(partition, 0) >= offset for partition, offset in wanted.items())


def events_between(start: Positions, end: Positions) -> int:
    """How many offsets lie from `start` to `end`."""
    return sum(max(0, offset - start.get(partition, 0)) for partition, offset in end.items())


def steps(start: Positions, end: Positions, most: int) -> Iterator[tuple[Positions, list[Range]]]:
    """The way from `start` to `end` in steps of `most` events: where each step arrives, and what it passes."""
    at = dict(start)
    passed: list[Range] = []
    room = most
    for (topic, partition), offset in sorted(end.items()):
        low = start.get((topic, partition), 0)
        while low < offset:
            high = min(offset, low + room)
            passed.append(Range(topic, partition, low, high))
            at[topic, partition] = high
            room -= high - low
            low = high
            if room == 0:
                yield dict(at), passed
                passed, room = [], most
    if passed:
        yield dict(at), passed
