"""Objects that depend on the tables: a swap preserves them, or is refused.

Owners, grants, comments, triggers, row security and views are preserved. Others, such as foreign keys, materialized
views, publications and statistics, block the swap, and are reported before it begins.
"""

from psycopg import sql

from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "preserve_ddl.sql")
Statements = list[sql.SQL]


def blockers(connection: Connection) -> list[str]:
    """The objects that would be dropped with the live tables, as PostgreSQL describes them."""
    return [str(what) for (what,) in connection.execute(_SQL["blockers"]).fetchall()]


def column_settings(connection: Connection, table: str, schema: str) -> Statements:
    """The planner settings of the live table's columns, as DDL for the same table in another schema.

    LIKE leaves it out, and it must be there before the table is analyzed.
    """
    return _statements(connection, "column_settings", {"table": table, "schema": schema})


def dependents(connection: Connection) -> Statements:
    """DDL of the views, triggers and row security of the live tables. Read before the exchange, and run after it: the
    names of the tables then mean the new ones."""
    return _statements(connection, "dependents", {})


def grants(connection: Connection, old: str) -> None:
    """Give the new tables the owners, grants and comments of those that moved to the schema `old`."""
    for query in ("owners", "grants", "comments"):
        for statement in _statements(connection, query, {"old": old}):
            connection.execute(statement)


def _statements(connection: Connection, query: str, parameters: dict[str, str]) -> Statements:
    rows = connection.execute(_SQL[query], parameters or None).fetchall()
    return [sql.SQL(str(text)) for (text,) in rows]  # pyright: ignore[reportArgumentType] - from the catalogue
