"""The tracker's two projections: the topics that each reads, its table, and its oracle."""

from collections.abc import Callable, Iterable
from typing import LiteralString, NamedTuple

from tests.chaos.item_oracle import LETTERS, expect_items
from tests.chaos.oracle import Expected, LogRecord, expect_jobs


class Projection(NamedTuple):
    """`part` is the tracker's own word for its process, `name` names its group and its positions."""

    part: str
    name: str
    topics: tuple[str, ...]
    table: LiteralString
    key: LiteralString
    expect: Callable[[Iterable[LogRecord]], Expected]

    def under(self, prefix: str) -> "Projection":
        """The same one where all names have a prefix."""
        return self._replace(name=prefix + self.name, topics=tuple(prefix + topic for topic in self.topics))

    def ends(self, log: Iterable[LogRecord]) -> dict[tuple[str, int], int]:
        """Where each of its partitions that has records ends."""
        return {(record.topic, record.partition): record.offset + 1 for record in self.of(log)}

    def of(self, log: Iterable[LogRecord]) -> list[LogRecord]:
        """Its records of a log in offset order."""
        return [record for record in log if record.topic in self.topics]


LIFECYCLE_TOPICS = ("jobs.requests.puller", "jobs.requests.matcher", "jobs.requests.syncer", "jobs.events")
JOBS = Projection("projector", "tracker-jobs", LIFECYCLE_TOPICS, "job", "job_id", expect_jobs)
ITEMS = Projection("items", "tracker-items", ("jobs.items", LETTERS), "item", "event_id", expect_items)
PROJECTIONS = (JOBS, ITEMS)
TOPICS = tuple(topic for projection in PROJECTIONS for topic in projection.topics)
