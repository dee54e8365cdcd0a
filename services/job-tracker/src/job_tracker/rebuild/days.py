"""The tables of a shadow's history, one a UTC day, as the live history has them."""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta

from psycopg import sql

from job_tracker.log.records import Record
from job_tracker.store.postgres import Connection


class Days:
    """Makes a table for each day of `history_since` to tomorrow that has a record.

    Days in the future come from timestamps that no broker has set: they lie in the default table.
    The connection commits each statement by itself and finds the tables of `schema`.
    """

    def __init__(self, connection: Connection, schema: str, history_since: datetime, now: datetime) -> None:
        self._connection = connection
        self._schema = schema
        self._first, self._last = history_since.date(), (now.astimezone(UTC) + timedelta(days=1)).date()
        self._made: set[date] = set()

    def ensure(self, records: Iterable[Record]) -> None:
        """These records' days have their tables; another process may be making them at the same time."""
        self.ensure_days({record.appended_at.date() for record in records})

    def ensure_days(self, wanted: Collection[date]) -> None:
        """These days have their tables."""
        days = set(wanted) - self._made
        for day in sorted(day for day in days if self._first <= day <= self._last):
            with self._connection.transaction():
                # IF NOT EXISTS alone fails when two look at once.
                self._connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{self._schema}.event"])
                self._connection.execute(
                    sql.SQL(
                        "CREATE TABLE IF NOT EXISTS {day} PARTITION OF event FOR VALUES FROM ({begin}) TO ({end})"
                    ).format(
                        day=sql.Identifier(self._schema, f"event_{day:%Y%m%d}"),
                        begin=sql.Literal(f"{day} 00:00:00+00"),
                        end=sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
                    )
                )
            self._made.add(day)
