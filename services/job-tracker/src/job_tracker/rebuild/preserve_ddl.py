"""What people have put on the tables besides rows: it goes with a swap, or the swap is refused.

Owners, rights, comments, triggers, row security and views are carried. What hangs on a table itself and cannot be
hung on another (foreign keys, materialized views, publications, statistics, ...) is said, before anything is done.
"""

from psycopg import sql

from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "preserve_ddl.sql")
Statements = list[sql.SQL]


def blockers(connection: Connection) -> list[str]:
    """What would be lost with the live tables, in PostgreSQL's words."""
    return [str(what) for (what,) in connection.execute(_SQL["blockers"]).fetchall()]


def column_settings(connection: Connection, table: str, schema: str) -> Statements:
    """What the planner is told of the live table's columns, for the same table in another schema.

    LIKE leaves it out, and it must be there before the table is analyzed.
    """
    return _statements(connection, "column_settings", {"table": table, "schema": schema})


def dependents(connection: Connection) -> Statements:
    """Views, triggers and row security of the live tables. Asked before the exchange, run after it: they are written
    with the tables' names, which then mean the new ones."""
    return _statements(connection, "dependents", {})


def grants(connection: Connection, old: str) -> None:
    """Give the tables, which stand in their place now, owners, rights and comments of those that moved to `old`."""
    for query in ("owners", "grants", "comments"):
        for statement in _statements(connection, query, {"old": old}):
            connection.execute(statement)


def _statements(connection: Connection, query: str, parameters: dict[str, str]) -> Statements:
    rows = connection.execute(_SQL[query], parameters or None).fetchall()
    return [sql.SQL(str(text)) for (text,) in rows]  # pyright: ignore[reportArgumentType] - from the catalogue
