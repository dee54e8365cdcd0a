"""Rows that a shadow from an incomplete log takes over from the live tables, so that no row becomes older.

The rows are merged as events are: of each register the greater one stays. So a job that the live table knows to be
finished stays finished, and what the log knows better is taken from the log.
"""

from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import NamedTuple

from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.store.job_statements import STAGE_AHEAD
from job_tracker.store.offsets import Stretch, insert_stretches
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "shadow.sql")
EVERY_JOB = "*"
"""Means all jobs; no job id looks like it."""
_NAMED = 100


class KeptJob(NamedTuple):
    """A job of which the log knows less: its status in the live table and by the log, None where it is in none."""

    job_id: str
    status: str
    by_log: str | None

    def sentence(self) -> str:
        return f"{self.job_id} ({self.status}; by the log {self.by_log or 'unknown'})"


class RowKeeper:
    """Works on `connection`, which finds the shadow's tables and has run the session of `projection`."""

    def __init__(self, connection: Connection, projection: JobsProjection, ensure_days: Callable[[set[date]], None]):
        self._connection = connection
        self._projection = projection
        self._ensure_days = ensure_days

    def keep(self, gone: Collection[Stretch], but: Collection[str], since: datetime) -> list[str]:
        """Take over rows, and the history from `since` on and dead letters of the ranges `gone`.

        Jobs in `but` stay as the log has them. The live positions must stand still, and the shadow must stand there.
        Returns what an operator must know.
        """
        named = {"but": list(but)}
        with self._connection.transaction(), self._connection.cursor() as cursor:
            staged = cursor.execute(STAGE_AHEAD, named).rowcount
            rows = cursor.execute(_SQL["rows_ahead"], {"most": _NAMED}).fetchall()
            kept = [KeptJob(str(job), str(status), str(by_log) if by_log else None) for job, status, by_log in rows]
            self._projection.merge_staged(cursor)
        for _, (topic, number), span in gone:
            place = {"topic": topic, "partition": number, "low": span.low, "high": span.high, "since": since}
            days = self._connection.execute(_SQL["history_days"], place).fetchall()
            self._ensure_days({date.fromisoformat(str(day)) for (day,) in days})
            self._connection.execute(_SQL["copy_history"], place | named)
            self._connection.execute(_SQL["copy_kept_dead_letters"], place)
        insert_stretches(self._connection, self._projection.name, gone)
        if not staged:
            return []
        described = ", ".join(job.sentence() for job in kept)
        more = f" and {staged - len(kept):,} more" if staged > len(kept) else ""
        return [
            f"The log knows less of {staged:,} jobs than the table; their rows do not become older: {described}{more}. "
            "--accept-loss with their ids makes them what the log knows."
        ]
