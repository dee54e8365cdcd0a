"""The accounts of a system, for commands that run beside its services."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout

import psycopg
from psycopg import Connection as Database
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from jobtrail.errors import UserError
from platforms import registry
from platforms.accounts import AccountStore
from platforms.cipher import Cipher
from platforms.connections import Connection
from platforms.migrate import migrate
from platforms.results import CheckResult
from service_kit.database import watched


@contextmanager
def open_accounts(database_url: str, secret_key: str) -> Generator[AccountStore, None, None]:
    """The store on a database of its own connection; brings the schema up to date first.

    Raises:
        UserError: PostgreSQL is away, hangs, or refuses the connection.
    """
    try:
        migrate(database_url)
        with ConnectionPool[Database[TupleRow]](watched(database_url), min_size=1, max_size=2) as pool:
            yield AccountStore(pool, Cipher(secret_key))
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL: {' '.join(str(error).split())}") from None


def read_drifts(database_url: str) -> dict[tuple[str, str, str], str]:
    """(tenant, account, platform) -> what the last complete RECONCILE_PRODUCTS found, for people.

    Raises:
        UserError: PostgreSQL is away, hangs, or refuses the connection.
    """
    try:
        with psycopg.connect(watched(database_url)) as connection:
            there = connection.execute("select to_regclass('syncer.api_reconciliations') is not null").fetchone()
            if there != (True,):  # no syncer of this release has started yet
                return {}
            rows = connection.execute(
                "select tenant, account, platform, drifted, checked, completed_at from syncer.api_reconciliations"
            ).fetchall()
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL: {' '.join(str(error).split())}") from None
    return {
        (tenant, account, platform): f"{drifted} of {checked}, {completed_at:%Y-%m-%d}"
        for tenant, account, platform, drifted, checked, completed_at in rows
    }


def check_connection(connection: Connection) -> CheckResult:
    """Call the platform once with the stored credentials. What its client logs goes to stderr."""
    with redirect_stdout(sys.stderr):
        return registry.platform(connection.platform).check(connection, lambda seconds, _why: time.sleep(seconds))
