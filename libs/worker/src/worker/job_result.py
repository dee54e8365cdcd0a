"""The numbers of a running job, as its progress events show them and its checkpoint keeps them."""

from copy import deepcopy
from typing import Any

from msgspec import Struct, field

from job_events.events import Counters


class JobCounters(Struct):
    """Counters and metadata that only grow within an attempt; `total` is None while unknown.

    `pending`: items that are done but whose outcome only the job's end tells. They count as processed.
    """

    total: int | None = None
    successful: int = 0
    failed: int = 0
    skipped: int = 0
    pending: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def processed(self) -> int:
        return self.successful + self.failed + self.skipped + self.pending

    def count(self, successful: int = 0, failed: int = 0, skipped: int = 0, **metadata: int) -> None:
        """Add to the counters, and to numbers in the metadata by name."""
        self.successful += successful
        self.failed += failed
        self.skipped += skipped
        for name, amount in metadata.items():
            self.metadata[name] = self.metadata.get(name, 0) + amount

    def snapshot(self) -> Counters:
        """The vector of an event; a total that turned out too small is raised."""
        total = None if self.total is None else max(self.total, self.processed)
        return Counters(total, self.processed, self.successful, self.failed, self.skipped)

    def copy(self) -> "JobCounters":
        return deepcopy(self)
