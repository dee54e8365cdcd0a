"""The interface of everything that is measured: it reads a topic and fills a table of final rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from job_events.topics import Topics


@dataclass(frozen=True, slots=True)
class Place:
    """The broker, topics, database and log folder of one measurement."""

    name: str
    kafka: str
    topics: Topics
    database_url: str
    logs: Path


class Candidate(Protocol):
    """Jobtrail or a peer."""

    @property
    def name(self) -> str:
        """The name in the figures."""
        ...

    @property
    def slow(self) -> bool:
        """Whether it reads fewer than 5,000 events a second and is measured with fewer events."""
        ...

    @property
    def final(self) -> str:
        """SELECT of job_id, state, total, processed, successful, failed, skipped, finished_at."""
        ...

    def prepare(self, place: Place) -> None:
        """Create the table; not measured."""
        ...

    def start(self, place: Place) -> None:
        """Start reading the topic from its beginning, in the background."""
        ...

    def check(self) -> None:
        """Raise RuntimeError if it has exited."""
        ...

    def peak_bytes(self) -> int:
        """The peak memory of its processes since `start`."""
        ...

    def stop(self) -> None:
        """Stop reading."""
        ...
