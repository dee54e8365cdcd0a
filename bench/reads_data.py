"""Data for the read benchmark: a job table of any size with all that hangs on it, made by SQL, the same each time."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from service_kit.database import migrate
from service_kit.sql_files import queries

_SQL = queries("bench", "reads_fill.sql")
_STEP = 250_000  # jobs a transaction
DAYS = 90  # that the jobs are spread over, at every size
# Products, customers and matches: a tenth of the jobs within these bounds. With fewer, pages would not be full.
LEAST_RECORDS, MOST_RECORDS = 10_000, 1_000_000

Connection = psycopg.Connection[Any]
Report = Callable[[str], None]


def fill(database_url: str, jobs: int, until: datetime, report: Report) -> None:
    """Fill a database whose schema `tracker` is migrated and empty with `jobs` jobs, the newest created at `until`.

    Twenty tenants of different sizes, one with most of the jobs; histories, items, dead letters, products,
    customers, matches and the rollups. `report` is called with one sentence after each step.
    """
    migrate_readers(database_url)
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute(
            "SELECT tracker.ensure_event_days((%s::timestamptz - %s * interval '1 day')::date, %s)", [until, DAYS, DAYS]
        )
        fill_jobs(connection, jobs, until, report)
        records = max(LEAST_RECORDS, min(jobs // 10, MOST_RECORDS))
        for name in ("histories", "items", "dead_letters", "products", "customers", "matches"):
            connection.execute(_SQL[name], {"jobs": jobs, "until": until, "records": records})
            report(f"{name.replace('_', ' ')} are there")
        connection.execute("VACUUM (ANALYZE)")
        report("vacuumed and analysed")


def migrate_readers(database_url: str) -> None:
    """The schemas that the API reads besides the tracker's."""
    for schema, packages in (
        ("puller", ["worker", "puller"]),
        ("matcher", ["worker", "matcher"]),
    ):
        migrate(database_url, schema, packages)


def fill_jobs(
    connection: Connection, jobs: int, until: datetime, report: Report, days: float = DAYS, kind: str = "functions"
) -> None:
    """The jobs and their rollups alone. The lists' indexes are made when all rows are there, which is faster.

    kind: `functions`, or `accounts` for 1,000 accounts of the same size.
    """
    _define(connection, kind)
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = 'tracker.job'::regclass AND NOT indisprimary"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    for first in range(0, jobs, _STEP):
        last = min(first + _STEP, jobs) - 1
        values = {"jobs": jobs, "days": days, "until": until, "first": first, "last": last}
        connection.execute(_SQL["jobs"], values)
        report(f"{last + 1:,} of {jobs:,} jobs")
    for name, definition in indexes:
        connection.execute(definition.encode())
        report(f"index {name}")
    connection.execute(_SQL["rollups"])
    connection.execute("VACUUM (ANALYZE) tracker.job")


def sample(database_url: str, numbers: Sequence[int], kind: str = "functions") -> list[tuple[str, str, str, datetime]]:
    """Id, tenant, chain and creation of the jobs with these numbers."""
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        _define(connection, kind)
        return connection.execute(
            "SELECT job_id, tenant, chain, created_at FROM unnest(%s::bigint[]) AS n "
            "JOIN tracker.job ON job_id = pg_temp.job_name(n) ORDER BY n",
            [list(numbers)],
        ).fetchall()


def _define(connection: Connection, kind: str) -> None:
    for name in dict.fromkeys(("functions", kind)):
        connection.execute(_SQL[name])
