"""One PostgreSQL, a schema a service: migrations and connections that stay inside their schema."""

import zlib
from contextlib import ExitStack
from importlib.resources import as_file, files
from urllib.parse import urlencode

import psycopg
import yoyo
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

# A process that is paused, or whose machine is gone, must not hold its rows' locks against all others for ever.
_SILENT_IN_TRANSACTION = "60s"
KEEPALIVES = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""Connection options by which PostgreSQL notices within some seconds that a client's machine is gone."""
# Keepalives (seconds) rest while bytes wait for their acknowledgement; there `tcp_user_timeout` (ms) counts.
_WATCHED = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}


def watched(database_url: str) -> str:
    """The address, so that a client notices within some seconds that PostgreSQL's machine is gone, or was cut off.

    What the address itself says of this stays.
    """
    said = conninfo_to_dict(database_url)
    return make_conninfo(database_url, **{name: value for name, value in _WATCHED.items() if name not in said})


def migrate(database_url: str, schema: str, packages: list[str]) -> None:
    """Bring `schema` to its newest version from the `migrations/` folders of `packages`.

    Safe to call from many processes at once: one works, the others wait. yoyo keeps its own tables
    inside the schema, so that services migrate without knowing of each other. File names must be
    unique over all packages.

    Raises:
        psycopg.OperationalError: the server does not answer.
    """
    with ExitStack() as stack:
        guard = stack.enter_context(psycopg.connect(watched(database_url), autocommit=True))
        # Ends with the connection, so a killed process leaves nothing locked.
        guard.execute("select pg_advisory_lock(%s)", [zlib.crc32(f"migrate {schema}".encode())])
        guard.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        folders = [stack.enter_context(as_file(files(package) / "migrations")) for package in packages]
        backend = stack.enter_context(yoyo.get_backend(_yoyo_url(database_url, schema)))
        backend.apply_migrations(backend.to_apply(yoyo.read_migrations(*map(str, folders))))


def open_pool(database_url: str, schema: str, size: int) -> ConnectionPool:
    """Connections whose unqualified names mean `schema`. Opened at once; the caller closes it."""
    return ConnectionPool(
        watched(database_url),
        min_size=1,
        max_size=size,
        kwargs={
            "options": f"-c search_path={schema} -c timezone=UTC"
            f" -c idle_in_transaction_session_timeout={_SILENT_IN_TRANSACTION} {KEEPALIVES}",
            "application_name": schema,
        },
        check=ConnectionPool.check_connection,
        open=True,
    )


# FATAL errors that end a connection or refuse a new one, until the server or a place on it is there again:
# shutdown, crash, start, a dropped database, an idle session, too many connections, a transaction of a paused process.
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "53300", "25P03"})
# Lock and statement time-outs, a cancelled or too long transaction, an object in use.
_TRANSIENT = frozenset({"55P03", "55006", "57014", "25P04"})


def is_away(error: Exception) -> bool:
    """Whether the connection to PostgreSQL failed: it is worth waiting until the server answers, however long.

    An error of psycopg without an SQLSTATE comes from the connection or the pool, not from the server.
    """
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith("08") or state in _AWAY


def is_transient(error: Exception) -> bool:
    """Whether PostgreSQL answered that the same statement may succeed later; worth a bounded number of tries.

    Deadlocks, serialization failures, time-outs, a full disk or memory, a server that became read-only.
    """
    if not isinstance(error, psycopg.Error) or is_away(error):
        return False
    return (error.sqlstate or "").startswith("40") or error.sqlstate in _TRANSIENT or refuses_all_writes(error)


def refuses_all_writes(error: Exception) -> bool:
    """Whether the server lacks what every write needs (disk, memory, being the primary): no single row is at fault."""
    if not isinstance(error, psycopg.Error) or is_away(error):
        return False
    state = error.sqlstate or ""
    return state.startswith(("53", "58")) or state == "25006"


def sql_error_text(error: psycopg.Error) -> str:
    """The server's own sentence and the SQLSTATE, without the detail, which may hold values of rows."""
    said = error.diag.message_primary or type(error).__name__
    return f"{said} (SQLSTATE {error.sqlstate})" if error.sqlstate else said


def refresh_statistics(connection: psycopg.Connection, *tables: str) -> None:
    """Let the planner know at once what a job has just written.

    Until then it believes that a new account has no rows and joins them by nested loops: minutes
    instead of milliseconds at a thousand products.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, tables))
    connection.execute(sql.SQL("analyze {}").format(names))


def _yoyo_url(database_url: str, schema: str) -> str:
    """Every parameter as libpq understands the address: yoyo's own reading of it differs from libpq's."""
    parameters = conninfo_to_dict(watched(database_url)) | {"schema": schema}
    return f"postgresql+psycopg:///?{urlencode(parameters)}"
