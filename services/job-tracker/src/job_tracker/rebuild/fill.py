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
    ) -> None:
        self._shadow = shadow
        self._committer = committer
        self._projection = projection
        # Days in the future come from timestamps that no broker has set: they lie in the default table.
        self._first_day, self._last_day = history_since.date(), (now.astimezone(UTC) + timedelta(days=1)).date()

    def fill(self, batches: Generator[list[Record]], starts: Positions, done: Callable[[int], None]) -> None:
        """Write all batches; `starts` says where each partition stands and moves on. `done` counts records.

        Raises:
            ShadowTaken
        """
        with closing(batches), ThreadPoolExecutor(1, "reader") as reader:
            following = reader.submit(self._next, batches)
            while (batch := following.result()) is not None:
                following = reader.submit(self._next, batches)
                self._shadow.ensure_days(self._days(batch.records))
                batch.seal(starts)
                if self._committer.commit(batch):
                    raise ShadowTaken("another process writes into the shadow; this one ends")
                done(len(batch.records))

    def _next(self, batches: Iterator[list[Record]]) -> Batch[JobsContent] | None:
        records = next(batches, None)
        if records is None:
            return None
        batch = Batch(self._projection, records)
        batch.pack()
        return batch

    def _days(self, records: list[Record]) -> set[date]:
        days = {record.appended_at.date() for record in records}
        return {day for day in days if self._first_day <= day <= self._last_day}
