"""Jobtrail's projector as in production: `python -m job_tracker projector`, history included."""

import os
import sys

from bench.candidate import Place
from bench.child import Child


class Jobtrail:
    """`copies` projectors that share the partitions."""

    name = "jobtrail"
    slow = False
    final = """
        SELECT job_id, state, total, processed, successful, failed, skipped, e_at AS finished_at FROM tracker.job
    """

    def __init__(self, copies: int = 1) -> None:
        self._copies = copies
        self._children: list[Child] = []

    def prepare(self, place: Place) -> None:
        """Nothing: the projector creates its schema when it starts."""

    def start(self, place: Place) -> None:
        self._children = [part("projector", place, f"-{number}") for number in range(self._copies)]

    def check(self) -> None:
        for child in self._children:
            child.check()

    def peak_bytes(self) -> int:
        return sum(child.peak_bytes() for child in self._children)

    def stop(self) -> None:
        for child in self._children:
            child.end()


def part(name: str, place: Place, suffix: str = "", **more: str) -> Child:
    """Start one process of the tracker; `more` is added to its environment."""
    log = place.logs / f"{place.name}-{name}{suffix}.log"
    return Child([sys.executable, "-m", "job_tracker", name], environment(place) | more, log)


def environment(place: Place) -> dict[str, str]:
    """The environment of the tracker's processes for this measurement."""
    return os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": place.kafka,
        "DATABASE_URL": place.database_url,
        "JOBTRAIL_TOPIC_PREFIX": place.topics.prefix,
    }
