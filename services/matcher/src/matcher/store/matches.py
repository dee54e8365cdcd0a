"""Matches. Only an EDIT_MATCH job changes what a person decided; the caller holds `lock` while it decides."""

from collections.abc import Collection, Iterable, Mapping

from psycopg import Connection
from psycopg.rows import class_row

from matcher.domain.candidates import Method, Pair
from matcher.domain.mappings import Changes, Match
from matcher.store.snapshots import Scope
from platforms.settings import AccountSettings, stored_settings
from service_kit.sql_files import queries

_SQL = queries("matcher", "matches.sql")


def lock(conn: Connection, scope: Scope) -> None:
    """Lock the account's matches of this kind until the transaction ends."""
    conn.execute(_SQL["lock"], scope.values())


def read_all(conn: Connection, scope: Scope) -> list[Match]:
    """Every match of the scope."""
    with conn.cursor(row_factory=class_row(Match)) as cursor:
        return cursor.execute(_SQL["all"], scope.values()).fetchall()


def touching(conn: Connection, scope: Scope, hub_id: str, remote_id: str | None) -> list[Match]:
    """Every match of either record."""
    values = scope.values(hub_id=hub_id, remote_id=remote_id)
    with conn.cursor(row_factory=class_row(Match)) as cursor:
        return cursor.execute(_SQL["touching"], values).fetchall()


def apply(conn: Connection, scope: Scope, job_id: str, changes: Changes) -> None:
    """Write what a run decided. Changed rows go first, so that no record has two partners in between."""
    delete(conn, scope, [*changes.removed, *changes.updated])
    put(conn, scope, job_id, [*changes.created, *changes.updated])


def put(conn: Connection, scope: Scope, job_id: str, rows: Iterable[Match]) -> None:
    """Insert rows, or replace those of the same pairs.

    Raises:
        psycopg.errors.UniqueViolation: a record of a link has another partner.
    """
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["put"], [{**_values(scope, row), "job_id": job_id} for row in rows])


def delete(conn: Connection, scope: Scope, rows: Iterable[Match]) -> None:
    """Delete rows."""
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["delete"], [_values(scope, row) for row in rows])


def read_former(conn: Connection, scope: Scope) -> dict[Pair, Method]:
    """The pairs that were linked before and are not now, with the method of their link."""
    rows = conn.execute(_SQL["former"], scope.values()).fetchall()
    return {(hub_id, remote_id): method for hub_id, remote_id, method in rows}


def keep_former(
    conn: Connection, scope: Scope, before: Mapping[Pair, Method], after: Collection[tuple[Pair, Method]]
) -> None:
    """Store these pairs as linked before, and no others; writes what differs from `before`."""
    kept = dict(after)
    removed = [pair for pair in before if pair not in kept]
    new = [(pair, method) for pair, method in kept.items() if before.get(pair) != method]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["delete_former"], [_pair_values(scope, pair) for pair in removed])
        cursor.executemany(
            _SQL["put_former"], [{**_pair_values(scope, pair), "method": method} for pair, method in new]
        )


def settings(conn: Connection, tenant: str, account: str) -> AccountSettings:
    """The account's settings; the defaults for an account that was deleted.

    Raises:
        InvalidAccount: they were stored by another version.
    """
    row = conn.execute(_SQL["settings"], {"tenant": tenant, "account": account}).fetchone()
    return AccountSettings() if row is None else stored_settings(row[0])


def account_exists(conn: Connection, tenant: str, account: str) -> bool:
    """Whether jobs may run for the account."""
    row = conn.execute(_SQL["account_exists"], {"tenant": tenant, "account": account}).fetchone()
    return row is not None and row[0]


def _pair_values(scope: Scope, pair: Pair) -> dict[str, object]:
    return scope.values(hub_id=pair[0], remote_id=pair[1])


def _values(scope: Scope, row: Match) -> dict[str, object]:
    return {
        **_pair_values(scope, row.pair),
        "status": row.status,
        "method": row.method,
        "score": row.score,
        "reason": row.reason,
    }
