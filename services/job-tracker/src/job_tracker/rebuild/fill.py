"""Writes ranges of the log into tables by the projector's fold and commit protocol: one thread reads, one writes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Generic

from job_tracker.errors import PositionsMoved
from job_tracker.log.records import Record
from job_tracker.projector.batch import Batch, Content, Projection
from job_tracker.projector.commit import Committer
from job_tracker.rebuild.plan import Spans, TopicIds
from job_tracker.rebuild.sources import Sources


class Filler(Generic[Content]):
    """Writes batches of records under the positions of `projection`; `prepare` sees each batch's records before."""

    def __init__(
        self,
        sources: Sources,
        committer: Committer[Content],
        projection: Projection[Content],
        batch_events: int,
        prepare: Callable[[list[Record]], None] = lambda _: None,
    ) -> None:
        self._sources = sources
        self._committer = committer
        self._projection = projection
        self._most = batch_events
        self._prepare = prepare

    def fill(self, topic_ids: TopicIds, spans: Spans, done: Callable[[int], None]) -> None:
        """Write the records of all stretches, at whose beginnings the positions stand. `done` counts records.

        Raises:
            PositionsMoved, ArchiveDamaged, LogBroken, LogTimeout
        """
        starts = {partition: span.low for partition, span in spans.items()}
        with closing(self._sources.read(topic_ids, spans)) as pieces, ThreadPoolExecutor(1, "reader") as reader:
            following = reader.submit(self._next, pieces)
            while (batch := following.result()) is not None:
                following = reader.submit(self._next, pieces)
                self._prepare(batch.records)
                batch.seal(starts)
                if self._committer.commit(batch):
                    raise PositionsMoved(
                        "another process moved the positions, or PostgreSQL's answer to a commit was lost; begin again"
                    )
                done(len(batch.records))

    def _next(self, pieces: Iterator[list[Record]]) -> Batch[Content] | None:
        batch = Batch(self._projection)
        for records in pieces:
            batch.add(records)
            if batch.is_full(self._most):
                break
        batch.pack()
        return batch if batch.records else None
