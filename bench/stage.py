"""The servers of a run, its filled topics, and a fresh database for each measurement."""

import itertools
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.candidate import Candidate, Place
from bench.databases import fresh_database
from bench.drain import Drain, drain
from bench.fill import create, fill
from bench.workload import Message, Shape, messages
from job_events.topics import Topics


@dataclass(frozen=True, slots=True)
class FullTopic:
    """A topic that holds `events`, and the job that is last in each of its partitions."""

    topics: Topics
    events: int
    last_jobs: tuple[str, ...]


class Stage:
    """One Kafka and one PostgreSQL for the whole run. `folder` takes logs and data."""

    def __init__(self, kafka: str, database_url: str, folder: Path) -> None:
        self.kafka = kafka
        self.database_url = database_url
        self.folder = folder
        self._numbers = itertools.count(1)
        self._workloads: dict[int, FullTopic] = {}
        self._run = f"{time.time_ns() // 1_000_000:x}"

    def new_topics(self) -> Topics:
        """The contract's topics under a new prefix, empty."""
        topics = Topics(f"bench-{self._run}-{next(self._numbers)}.")
        create(self.kafka, topics)
        return topics

    def workload(self, events: int) -> FullTopic:
        """A topic filled with the workload of this size, created once."""
        if events not in self._workloads:
            began = time.monotonic()
            self._workloads[events] = self.full_topic(messages(Shape.of_events(events)))
            say(f"{events:,} events are in a topic after {time.monotonic() - began:.0f} s")
        return self._workloads[events]

    def full_topic(self, stream: Iterable[Message]) -> FullTopic:
        """A topic filled with a stream."""
        topics = self.new_topics()
        filled = fill(self.kafka, topics.events, stream)
        return FullTopic(topics, filled.events, filled.last_jobs)

    @contextmanager
    def place(self, candidate: Candidate, topics: Topics) -> Generator[Place]:
        """A fresh database for one measurement; the candidate is stopped before it is dropped."""
        name = f"{candidate.name}-{next(self._numbers)}"
        with fresh_database(self.database_url) as url:
            try:
                yield Place(name, self.kafka, topics, url, self.folder / "logs")
            finally:
                candidate.stop()

    @contextmanager
    def drained(self, candidate: Candidate, topic: FullTopic) -> Generator[tuple[Place, Drain]]:
        """Drain a topic. Within the block the table is full and the candidate runs."""
        with self.place(candidate, topic.topics) as place:
            result = drain(candidate, place, topic.events, topic.last_jobs)
            say(f"{candidate.name}: {result.rate:,.0f} events/s ({topic.events:,} events)")
            yield place, result

    def drain(self, candidate: Candidate, topic: FullTopic) -> Drain:
        """Drain a topic and drop the database."""
        with self.drained(candidate, topic) as (_, result):
            return result


def say(sentence: str) -> None:
    """Print progress; figures are printed apart."""
    print(f"  {sentence}", flush=True)
