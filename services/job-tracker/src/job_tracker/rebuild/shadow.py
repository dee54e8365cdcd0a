"""A second set of the projection's tables, in a schema of its own, alike to the last index and name."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from psycopg import sql

from job_events.sql_files import queries
from job_tracker.projector.postgres import SCHEMA as LIVE
from job_tracker.projector.records import Connection, Record
from job_tracker.rebuild import carry

_SQL = queries("job_tracker", "shadow.sql")

REPLACED = ("job", "rollup", "event")  # the tables that a swap exchanges whole
# The load looks for what is there already.
_MERGED = ("job", "rollup", "dead_letter", "consumer_offset", "earlier_stretch")
_TABLES = (*_MERGED, "event")


class Shadow:
    """Owns the schema `name`. The connection commits each statement by itself and finds unqualified tables in it.

    Its history begins at `history_since`.
    """

    def __init__(self, connection: Connection, name: str, history_since: datetime, now: datetime) -> None:
        self._connection = connection
        self.name = name
        # Days in the future come from timestamps that no broker has set: they lie in the default table.
        self._first_day, self._last_day = history_since.date(), (now.astimezone(UTC) + timedelta(days=1)).date()
        self._days: set[date] = set()
        self._job: object = None  # the number of its job table, which a swap does not change

    def create(self) -> None:
        """Make empty tables; what an earlier run left is dropped."""
        self.drop()
        self._run("CREATE SCHEMA {shadow}")
        for table in _TABLES:
            self._create(table)
        for table in _MERGED:
            self._add_keys(table)
        self._run("CREATE TABLE {shadow}.event_default PARTITION OF {shadow}.event DEFAULT")
        (self._job,) = self._connection.execute("SELECT %s::regclass::oid", [f"{self.name}.job"]).fetchone() or (None,)

    def drop(self) -> None:
        self._run("DROP SCHEMA IF EXISTS {shadow} CASCADE")

    def ensure_days(self, records: Iterable[Record]) -> None:
        """The history of each UTC day gets a table of its own, as the live history has them."""
        days = {record.appended_at.date() for record in records} - self._days
        for day in sorted(day for day in days if self._first_day <= day <= self._last_day):
            name = f"event_{day:%Y%m%d}"
            self._run(
                "CREATE TABLE {shadow}.{day} PARTITION OF {shadow}.event FOR VALUES FROM ({begin}) TO ({end})",
                day=sql.Identifier(name),
                begin=sql.Literal(f"{day} 00:00:00+00"),
                end=sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
            )
            self._days.add(day)

    def index(self) -> None:
        """Build the keys and indexes that the load did not need, and let the planner know the tables.

        Sorting once is cheaper than finding each row's place.
        """
        self._run("SET maintenance_work_mem TO '256MB'")
        self._add_keys("event")
        for table in _TABLES:
            for (definition,) in self._ask("indexes", table):
                text = str(definition)
                for only in (f" ON ONLY {LIVE}.", f" ON {LIVE}."):
                    text = text.replace(only, f" ON {self.name}.", 1)
                self._connection.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType] - from the catalogue
        for table in _TABLES:
            self._run("ANALYZE {shadow}.{table}", table=sql.Identifier(table))

    def is_live(self) -> bool:
        """Whether a swap has put these tables in the live ones' place."""
        return self._connection.execute("SELECT %s::regclass::oid", [f"{LIVE}.job"]).fetchone() == (self._job,)

    def forget_deleted(self) -> None:
        """Drop the history of deleted jobs, of which the live table keeps the tombstones alone."""
        self._run("DELETE FROM {shadow}.event USING {shadow}.job WHERE event.job_id = job.job_id AND job.deleted")

    def _create(self, table: str) -> None:
        options, partitioned = self._ask("table_options", table)[0]
        statement = "CREATE TABLE {shadow}.{table} (LIKE {live}.{table} INCLUDING ALL EXCLUDING INDEXES)"
        if partitioned:
            statement += f" PARTITION BY {partitioned}"
        if options:
            statement += f" WITH ({options})"
        self._run(statement, table=sql.Identifier(table))
        for statement in carry.column_settings(self._connection, table, self.name):
            self._connection.execute(statement)

    def _add_keys(self, table: str) -> None:
        for name, definition in self._ask("keys", table):
            self._run(
                f"ALTER TABLE {{shadow}}.{{table}} ADD CONSTRAINT {{name}} {definition}",
                table=sql.Identifier(table),
                name=sql.Identifier(str(name)),
            )

    def _ask(self, query: str, table: str) -> list[tuple[object, ...]]:
        return self._connection.execute(_SQL[query], {"table": f"{LIVE}.{table}"}).fetchall()

    def _run(self, statement: str, **names: sql.Composable) -> None:
        # The text is written here or comes from the server's own catalogue.
        text = sql.SQL(statement)  # pyright: ignore[reportArgumentType]
        self._connection.execute(text.format(shadow=sql.Identifier(self.name), live=sql.Identifier(LIVE), **names))
