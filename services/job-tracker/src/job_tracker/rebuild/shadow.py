"""A second set of the projection's tables in a schema of its own, with the same indexes and names."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import LiteralString

from psycopg import sql

from job_tracker.rebuild import preserve_ddl
from job_tracker.store.postgres import SCHEMA as LIVE
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "shadow.sql")

REPLACED = ("job", "rollup", "event")  # the tables that a swap exchanges whole
DEFAULT_DAY = "event_default"  # the table for events of days that have none of their own
# The load searches these for existing rows.
_MERGED = ("job", "rollup", "dead_letter", "consumer_offset", "earlier_stretch")
_TABLES = (*_MERGED, "event")
_LOOK = 0.1  # seconds


class ShadowTables:
    """Owns the schema `name`. The connection commits each statement by itself and finds unqualified tables in it."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self._job: object = None  # the number of its job table, which a swap does not change

    def create(self) -> None:
        """Create empty tables; drop those of an earlier run."""
        self.drop(self._connection)
        self._run(self._connection, "CREATE SCHEMA {shadow}")
        for table in _TABLES:
            self._create(table)
        for table in _MERGED:
            self._add_keys(self._connection, table)
        self._run(
            self._connection,
            "CREATE TABLE {shadow}.{day} PARTITION OF {shadow}.event DEFAULT",
            day=sql.Identifier(DEFAULT_DAY),
        )
        (self._job,) = self._connection.execute("SELECT %s::regclass::oid", [f"{self.name}.job"]).fetchone() or (None,)

    def drop(self, connection: Connection) -> None:
        self._run(connection, "DROP SCHEMA IF EXISTS {shadow} CASCADE")

    def index(self, other: Connection) -> None:
        """Build the keys and indexes that the load did not need, and let the planner know the tables.

        Sorting once is cheaper than finding each row's place. The history is as much work as all other tables, so
        `other`, a connection like the own one, does it at the same time.
        """
        with ThreadPoolExecutor(1) as thread:
            history = thread.submit(self._index_history, other)
            try:
                self._index(self._connection, _MERGED)
                history.result()
            except BaseException:
                while not history.done():
                    other.cancel_safe()
                    wait([history], _LOOK)
                raise

    def is_live(self, connection: Connection) -> bool:
        """Whether a swap has put these tables in the live ones' place."""
        return connection.execute("SELECT %s::regclass::oid", [f"{LIVE}.job"]).fetchone() == (self._job,)

    def forget_deleted(self) -> None:
        """Drop the history of deleted jobs, of which the live table keeps the tombstones alone."""
        self._run(
            self._connection,
            "DELETE FROM {shadow}.event USING {shadow}.job WHERE event.job_id = job.job_id AND job.deleted",
        )

    def _create(self, table: str) -> None:
        options, partitioned = _ask(self._connection, "table_options", table)[0]
        statement = "CREATE TABLE {shadow}.{table} (LIKE {live}.{table} INCLUDING ALL EXCLUDING INDEXES)"
        if partitioned:
            statement += f" PARTITION BY {partitioned}"
        if options:
            statement += f" WITH ({options})"
        self._run(self._connection, statement, table=sql.Identifier(table))
        for statement in preserve_ddl.column_settings(self._connection, table, self.name):
            self._connection.execute(statement)

    def _index_history(self, connection: Connection) -> None:
        self._add_keys(connection, "event")
        self._index(connection, ["event"])

    def _index(self, connection: Connection, tables: Iterable[str]) -> None:
        connection.execute("SET maintenance_work_mem TO '256MB'")
        for table in tables:
            for (definition,) in _ask(connection, "indexes", table):
                text = str(definition)
                for only in (f" ON ONLY {LIVE}.", f" ON {LIVE}."):
                    text = text.replace(only, f" ON {self.name}.", 1)
                connection.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType] - from the catalogue
        for table in tables:
            # No list's plan depends on the other columns, some of them long: autovacuum analyzes them later.
            columns = [sql.Identifier(str(name)) for (name,) in _ask(connection, "indexed_columns", table)]
            self._run(
                connection,
                "ANALYZE {shadow}.{table} ({columns})",
                table=sql.Identifier(table),
                columns=sql.SQL(", ").join(columns),
            )

    def _add_keys(self, connection: Connection, table: str) -> None:
        for name, definition in _ask(connection, "keys", table):
            self._run(
                connection,
                f"ALTER TABLE {{shadow}}.{{table}} ADD CONSTRAINT {{name}} {definition}",
                table=sql.Identifier(table),
                name=sql.Identifier(str(name)),
            )

    def _run(self, connection: Connection, statement: str, **names: sql.Composable) -> None:
        # The text is written here or comes from the server's own catalogue.
        text = sql.SQL(statement)  # pyright: ignore[reportArgumentType]
        connection.execute(text.format(shadow=sql.Identifier(self.name), live=sql.Identifier(LIVE), **names))


def _ask(connection: Connection, query: LiteralString, table: str) -> list[tuple[object, ...]]:
    return connection.execute(_SQL[query], {"table": f"{LIVE}.{table}"}).fetchall()
