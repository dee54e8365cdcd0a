"""PostgreSQL: migrations, connection pools, and which errors may pass. Every service has a schema of its own."""

import zlib
from contextlib import ExitStack
from importlib.resources import as_file, files
from urllib.parse import urlencode

import psycopg
import yoyo
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

# Releases the row locks of a process that is paused, or whose machine is gone.
_IDLE_IN_TRANSACTION = "60s"
KEEPALIVES = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""Connection options by which PostgreSQL notices within some seconds that a client's machine is gone."""
# Keepalives (seconds) are not sent while bytes are unacknowledged; then `tcp_user_timeout` (ms) applies.
_WATCHED = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}


def watched(database_url: str) -> str:
    """The address with options by which a client notices within seconds that PostgreSQL's machine is unreachable.

    Options of the address itself are kept.
    """
    given = conninfo_to_dict(database_url)
    return make_conninfo(database_url, **{name: value for name, value in _WATCHED.items() if name not in given})


def migrate(database_url: str, schema: str, packages: list[str]) -> None:
    """Bring `schema` to its newest version from the `migrations/` folders of `packages`.

    Safe to call from several processes: one migrates, the others wait. yoyo keeps its tables inside the schema, so that
    each schema has its own versions. File names must be unique over all packages.

    Raises:
        FileNotFoundError: a package has no migrations.
        psycopg.OperationalError: the server does not answer.
    """
    with ExitStack() as stack:
        guard = stack.enter_context(psycopg.connect(watched(database_url), autocommit=True))
        # The lock ends with the connection, so a killed process leaves none.
        guard.execute("select pg_advisory_lock(%s)", [zlib.crc32(f"migrate {schema}".encode())])
        guard.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        folders = [stack.enter_context(as_file(files(package) / "migrations")) for package in packages]
        for package, folder in zip(packages, folders, strict=True):
            if not folder.is_dir():  # yoyo would apply nothing, and say nothing
                raise FileNotFoundError(f"package {package} has no folder migrations")
        backend = stack.enter_context(yoyo.get_backend(_yoyo_url(database_url, schema)))
        backend.apply_migrations(backend.to_apply(yoyo.read_migrations(*map(str, folders))))


def open_pool(database_url: str, schema: str, size: int) -> ConnectionPool:
    """An open pool of connections whose search_path is `schema`; the caller closes it."""
    return ConnectionPool(
        watched(database_url),
        min_size=1,
        max_size=size,
        kwargs={
            "options": f"-c search_path={schema} -c timezone=UTC"
            f" -c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION} {KEEPALIVES}",
            "application_name": schema,
        },
        check=ConnectionPool.check_connection,
        open=True,
    )


# Errors that end a connection or refuse a new one: shutdown, crash, start, dropped database, idle session, too many
# connections, transaction of a paused process.
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "53300", "25P03"})
# Lock and statement time-outs, a cancelled or too long transaction, an object in use.
_TRANSIENT = frozenset({"55P03", "55006", "57014", "25P04"})


def is_away(error: Exception) -> bool:
    """Whether the connection to PostgreSQL failed, so that a caller may wait until the server answers.

    An error of psycopg without an SQLSTATE comes from the connection or the pool, not from the server.
    """
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith("08") or state in _AWAY


def is_transient(error: Exception) -> bool:
    """Whether the same statement may succeed later; a caller may try a bounded number of times.

    Deadlocks, serialization failures, time-outs, a full disk or memory, a server that became read-only.
    """
    if not isinstance(error, psycopg.Error) or is_away(error):
        return False
    return (error.sqlstate or "").startswith("40") or error.sqlstate in _TRANSIENT or refuses_all_writes(error)


def refuses_all_writes(error: Exception) -> bool:
    """Whether the server refuses every write: disk or memory is full, or it is read-only. No row is the cause."""
    if not isinstance(error, psycopg.Error) or is_away(error):
        return False
    state = error.sqlstate or ""
    return state.startswith(("53", "58")) or state == "25006"


def sql_error_text(error: psycopg.Error) -> str:
    """The message of the server and the SQLSTATE, without the detail, which may hold values of rows."""
    message = error.diag.message_primary or type(error).__name__
    return f"{message} (SQLSTATE {error.sqlstate})" if error.sqlstate else message


def refresh_statistics(connection: psycopg.Connection, *tables: str) -> None:
    """Run ANALYZE, so that the planner knows the rows that a job has just written.

    Without it the planner assumes that a new account has no rows and joins by nested loops: at a thousand products that
    takes minutes instead of milliseconds.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, tables))
    connection.execute(sql.SQL("analyze {}").format(names))


def instances_at_work(database_url: str, view: str) -> int:
    """How many rows `view` has: one for each instance of a process that shows itself in PostgreSQL.

    Raises:
        psycopg.Error: the server does not answer, or the view is missing because no instance has ever started.
    """
    with psycopg.connect(watched(database_url)) as connection:
        (count,) = connection.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier(*view.split(".")))
        ).fetchall()[0]
    return count


def _yoyo_url(database_url: str, schema: str) -> str:
    """The address with all parameters as libpq parses them; yoyo parses addresses in another way."""
    parameters = conninfo_to_dict(watched(database_url)) | {"schema": schema}
    return f"postgresql+psycopg:///?{urlencode(parameters)}"
