"""The tracker's live stream as a client sees it: events from a text stream, and the list of jobs they make."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event: `snapshot`, `jobs`, `freshness` or `reset`. `token`: resume after it; None keeps the one before."""

    name: str
    token: str | None
    data: Json


def read_events(lines: Iterable[str]) -> Iterator[LiveEvent]:
    """The events in the lines of `GET /stream`; comments and hints are passed over."""
    name, token, data = "", None, ""
    for line in lines:
        field_name, _, value = line.partition(": ")
        if field_name == "event":
            name = value
        elif field_name == "id":
            token = value
        elif field_name == "data":
            data = value
        elif not line:
            if data:
                yield LiveEvent(name, token, msgspec.json.decode(data))
            name, token, data = "", None, ""


@dataclass(slots=True)
class LiveJobs:
    """The jobs of one view by id, as of `token`."""

    jobs: dict[str, Json] = field(default_factory=dict[str, Json])
    freshness: Json = field(default_factory=dict[str, Any])
    token: str | None = None

    def apply(self, event: LiveEvent) -> None:
        """Take an event in: a snapshot replaces the list, `jobs` changes it."""
        if event.name in {"snapshot", "reset"}:
            self.jobs.clear()
        for job in event.data.get("jobs", ()):
            self.jobs[job["job_id"]] = job
        for job_id in event.data.get("removed", ()):
            self.jobs.pop(job_id, None)
        if event.name == "freshness":
            self.freshness = event.data
        self.freshness = event.data.get("freshness", self.freshness)
        self.token = event.token or self.token
