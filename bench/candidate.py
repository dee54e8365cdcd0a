"""What everything under measurement has in common: from a topic into a table of final rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from job_events.topics import Topics


@dataclass(frozen=True, slots=True)
class Place:
    """Where one measurement happens: a broker, a topic prefix, a database and a folder for logs, all named `name`."""

    name: str
    kafka: str
    topics: Topics
    database_url: str
    logs: Path


class Candidate(Protocol):
    """Jobtrail or a peer."""

    @property
    def name(self) -> str:
        """As it stands in the figures' names."""
        ...

    @property
    def slow(self) -> bool:
        """Whether it stays below 5,000 events a second and so runs on fewer events."""
        ...

    @property
    def final(self) -> str:
        """SELECT of job_id, state, total, processed, successful, failed, skipped, finished_at."""
        ...

    def prepare(self, place: Place) -> None:
        """Make the table; not measured."""
        ...

    def start(self, place: Place) -> None:
        """Begin to read the topic from its start, in the background."""
        ...

    def check(self) -> None:
        """Raise RuntimeError if it has ended by itself."""
        ...

    def peak_bytes(self) -> int:
        """The most memory its processes have had since `start`."""
        ...

    def stop(self) -> None:
        """End the reading."""
        ...
