"""Divides a long read among processes by partition, since folding takes a core."""

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from concurrent.futures.process import BrokenProcessPool

from job_tracker.errors import ShareLost
from job_tracker.log.records import Span, TopicPartition
from job_tracker.projector.jobs_projection import JobsContent
from job_tracker.rebuild.fill import Filler
from job_tracker.rebuild.plan import Spans, TopicIds, offsets
from job_tracker.store.offsets import reached
from job_tracker.store.postgres import Connection
from service_kit.children import children

WORTH = 100_000  # offsets: what one process folds while others start
_LOOK = 0.25  # seconds between two looks at how far they are


class SharedFiller:
    """Does what `own` does, and long stretches in several processes at once, each with partitions of its own.

    `share` is sent to such a process with what it reads there; it fills under the positions of `projection`, which
    `connection` finds. It leaves the rollups alone: the shares would wait for each other's rows of them, and to count
    the jobs once costs less than to follow them batch by batch.
    """

    def __init__(
        self,
        own: Filler[JobsContent],
        share: Callable[[TopicIds, Spans], None],
        connection: Connection,
        projection: str,
    ) -> None:
        self._own = own
        self._share = share
        self._connection = connection
        self._projection = projection

    def fill(self, topic_ids: TopicIds, spans: Spans, done: Callable[[int], None]) -> bool:
        """As `Filler.fill`; whether the rollups have kept pace.

        Raises:
            ShareLost, PositionsMoved, ArchiveDamaged, LogBroken, LogTimeout
        """
        shares = divide(spans, processes()) if offsets(spans) >= WORTH else []
        if len(shares) < 2:
            self._own.fill(topic_ids, spans, done)
            return True
        with children(len(shares)) as pool:
            self._watch({pool.submit(self._share, topic_ids, share) for share in shares}, spans, done)
        return False

    def _watch(self, working: set[Future[None]], spans: Spans, done: Callable[[int], None]) -> None:
        reported = sum(span.low for span in spans.values())
        while working:
            ended, working = wait(working, _LOOK, FIRST_EXCEPTION)
            try:
                for future in ended:
                    future.result()
            except BrokenProcessPool:
                raise ShareLost(
                    "a process that folded a share of the log was killed, perhaps for want of memory; begin again, "
                    "with smaller batches (JOBTRAIL_BATCH_EVENTS)"
                ) from None
            now = reached(self._connection, self._projection, spans)
            done(now - reported)
            reported = now


def processes() -> int:
    """One more than there are cores: each waits for PostgreSQL now and then."""
    return (os.cpu_count() or 1) + 1


def divide(spans: Spans, most: int) -> list[dict[TopicPartition, Span]]:
    """Up to `most` shares of about the same size; no partition is in two, no share is empty."""
    shares: list[dict[TopicPartition, Span]] = [{} for _ in range(min(most, len(spans)))]
    for partition in sorted(spans, key=lambda partition: spans[partition].low - spans[partition].high):
        min(shares, key=offsets)[partition] = spans[partition]
    return shares
