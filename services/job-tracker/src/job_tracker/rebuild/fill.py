"""Stretches of the log into a shadow, by the projector's own fold and commit protocol: one thread reads, one writes."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from job_tracker.projector.commit import Committer
from job_tracker.projector.jobs_projection import JobsContent
from job_tracker.projector.records import Batch, Positions, Record
from job_tracker.rebuild.projection import ShadowProjection
from job_tracker.rebuild.shadow import Shadow


class ShadowTaken(Exception):
    """Somebody else moves the shadow's positions."""


class Filler:
    """Writes batches of records into one shadow."""

    def __init__(
        self,
        shadow: Shadow,
        committer: Committer[JobsContent],
        projection: ShadowProjection,
        history_since: datetime,
        now: datetime,
        batch_events: int,
    ) -> None:
        self._shadow = shadow
        self._committer = committer
        self._projection = projection
        self._most = batch_events
        # Days in the future come from timestamps that no broker has set: they lie in the default table.
        self._first_day, self._last_day = history_since.date(), (now.astimezone(UTC) + timedelta(days=1)).date()

    def fill(self, pieces: Generator[list[Record]], starts: Positions, done: Callable[[int], None]) -> None:
        """Write all records; `starts` says where each partition stands and moves on. `done` counts records.

        The smaller the pieces, the more of a record is still in the processor's cache when it is folded.

        Raises:
            ShadowTaken
        """
        with closing(pieces), ThreadPoolExecutor(1, "reader") as reader:
            following = reader.submit(self._next, pieces)
            while (batch := following.result()) is not None:
                following = reader.submit(self._next, pieces)
                self._shadow.ensure_days(self._days(batch.records))
                batch.seal(starts)
                if self._committer.commit(batch):
                    raise ShadowTaken("another process writes into the shadow; this one ends")
                done(len(batch.records))

    def _next(self, pieces: Iterator[list[Record]]) -> Batch[JobsContent] | None:
        batch = Batch(self._projection)
        for records in pieces:
            batch.add(records)
            if len(batch.records) >= self._most:
                break
        batch.pack()
        return batch if batch.records else None

    def _days(self, records: list[Record]) -> set[date]:
        days = {record.appended_at.date() for record in records}
        return {day for day in days if self._first_day <= day <= self._last_day}
