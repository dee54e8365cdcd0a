"""Brings the schema `accounts` to its newest version from the plain SQL files in `migrations/`."""

from importlib.resources import as_file, files
from urllib.parse import urlencode

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict
from yoyo.backends import DatabaseBackend

CONNECT_SECONDS = 5  # a server that takes connections and says nothing hangs
_LOCK = 0x4A54_4143  # any number, the same in every process: "JTAC"


def migrate(database_url: str) -> None:
    """Apply what is missing. Safe to call from many processes at once: one works, the others wait for it.

    yoyo keeps its own tables inside the schema, because other packages use it in the same database.
    """
    with psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_SECONDS) as guard:
        # Ends with the connection, so a killed process leaves nothing locked.
        guard.execute("select pg_advisory_lock(%s)", [_LOCK])
        guard.execute("create schema if not exists accounts")
        with as_file(files("platforms") / "migrations") as folder, _backend(database_url) as backend:
            backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))


def _backend(database_url: str) -> DatabaseBackend:
    return yoyo.get_backend(_yoyo_url(database_url))


def _yoyo_url(database_url: str) -> str:
    """Every parameter as libpq understands the address: yoyo's own reading of it differs from libpq's."""
    return f"postgresql+psycopg:///?{urlencode(conninfo_to_dict(database_url) | {'schema': 'accounts'})}"
