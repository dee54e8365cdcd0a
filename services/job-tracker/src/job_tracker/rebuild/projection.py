"""The projections for a rebuild: the same fold and merge, without what retention has deleted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from job_events.topics import Topics
from job_tracker.domain.horizon import Lateness
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow
from job_tracker.projector.items_projection import ItemsContent, ItemsProjection
from job_tracker.projector.jobs_projection import JobsContent, JobsProjection
from job_tracker.store.postgres import Cursor
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "items.sql")
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sample:
    """Jobs chosen by a hash of seed and id, so that one pass over the log serves and each run can be repeated.

    `threshold` of 2^32 jobs are in it. `sql/compare.sql` makes the same choice among the rows.
    """

    seed: int
    threshold: int

    @classmethod
    def of_size(cls, seed: int, jobs: int, among: int) -> "Sample":
        """About `jobs` of `among` jobs."""
        return cls(seed, min(1 << 32, (jobs << 32) // max(among, 1)))

    def holds(self, job_id: str) -> bool:
        digest = hashlib.sha256(f"{self.seed}:{job_id}".encode()).digest()
        return int.from_bytes(digest[:4]) < self.threshold


class ShadowProjection(JobsProjection):
    """History older than `history_since` has been dropped by retention and is not written again.

    With a sample, only its jobs are written, and no history at all.
    """

    def __init__(
        self,
        topics: Topics,
        history_since: datetime,
        sample: Sample | None = None,
        *,
        with_rollups: bool = True,
        lateness: Lateness | None = None,
    ) -> None:
        since = _NEVER if sample else history_since
        super().__init__(topics, history_since=since, with_rollups=with_rollups, lateness=lateness)
        self._sample = sample

    def pack(self, content: JobsContent) -> None:
        if self._sample is not None:
            holds = self._sample.holds
            content.jobs = {job_id: job for job_id, job in content.jobs.items() if holds(job_id)}
        super().pack(content)


class ItemsReplay(ItemsProjection):
    """Leaves out what retention has deleted: what was appended before `since`, and items of deleted jobs."""

    def __init__(self, topics: Topics, since: datetime) -> None:
        super().__init__(topics, "tracker-items.again")
        self._since = since

    def add(self, content: ItemsContent, records: Sequence[Record]) -> list[DeadLetterRow]:
        return super().add(content, [record for record in records if record.appended_at >= self._since])

    def merge(self, cursor: Cursor) -> int:
        cursor.execute(_SQL["unstage_deleted"])
        return super().merge(cursor)
