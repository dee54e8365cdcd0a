"""One PostgreSQL, a schema a service: migrations and connections that stay inside their schema."""

import zlib
from contextlib import ExitStack
from importlib.resources import as_file, files
from urllib.parse import urlencode

import psycopg
import yoyo
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

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


def is_away(error: Exception) -> bool:
    """Whether PostgreSQL is out of reach or refuses for now; psycopg's OperationalError also covers limits that last.

    Lasting: SQLSTATE class 54, program limits such as an index row that is too large.
    """
    if isinstance(error, PoolTimeout | psycopg.errors.IdleInTransactionSessionTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and not (error.sqlstate or "").startswith("54")


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
