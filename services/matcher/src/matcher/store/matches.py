"""Mappings. People's rows are only ever changed by people's jobs; the caller holds `lock` while it decides."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import class_row

from matcher.domain.candidates import Method, Pair
from matcher.domain.mappings import Changes, Match
from matcher.store.snapshots import Kind
from platforms.settings import AccountSettings, stored_settings
from service_kit.sql_files import queries

_SQL = queries("matcher", "matches.sql")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose mappings, and of what."""

    tenant: str
    account: str
    kind: Kind

    def values(self) -> dict[str, object]:
        return {"tenant": self.tenant, "account": self.account, "kind": self.kind}


def lock(conn: Connection, scope: Scope) -> None:
    """Hold the scope until the transaction ends."""
    conn.execute(_SQL["lock"], scope.values())


def read_all(conn: Connection, scope: Scope) -> list[Match]:
    """Every mapping of the scope."""
    with conn.cursor(row_factory=class_row(Match)) as cursor:
        return cursor.execute(_SQL["all"], scope.values()).fetchall()


def touching(conn: Connection, scope: Scope, nhanh_id: str, shopify_id: str | None) -> list[Match]:
    """Every mapping of either record."""
    values = {**scope.values(), "nhanh_id": nhanh_id, "shopify_id": shopify_id}
    with conn.cursor(row_factory=class_row(Match)) as cursor:
        return cursor.execute(_SQL["touching"], values).fetchall()


def apply(conn: Connection, scope: Scope, job_id: str, changes: Changes) -> None:
    """Write what a run decided. Changed rows go first, so that no record has two partners in between."""
    delete(conn, scope, [*changes.removed, *changes.updated])
    put(conn, scope, job_id, [*changes.created, *changes.updated])


def put(conn: Connection, scope: Scope, job_id: str, rows: Iterable[Match]) -> None:
    """Insert rows, or replace what is said of their pairs.

    Raises:
        psycopg.errors.UniqueViolation: a record of a link has another partner.
    """
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["put"], [{**_values(scope, row), "job_id": job_id} for row in rows])


def delete(conn: Connection, scope: Scope, rows: Iterable[Match]) -> None:
    """Forget rows."""
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["delete"], [_values(scope, row) for row in rows])


def read_former(conn: Connection, scope: Scope) -> dict[Pair, Method]:
    """The pairs that were linked before and are not now, with the method of their link."""
    rows = conn.execute(_SQL["former"], scope.values()).fetchall()
    return {(nhanh_id, shopify_id): method for nhanh_id, shopify_id, method in rows}


def keep_former(
    conn: Connection, scope: Scope, before: Mapping[Pair, Method], after: Collection[tuple[Pair, Method]]
) -> None:
    """Remember these pairs as linked before, and no others; writes what differs from `before`."""
    kept = dict(after)
    gone = [pair for pair in before if pair not in kept]
    new = [(pair, method) for pair, method in kept.items() if before.get(pair) != method]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["forget_former"], [{**scope.values(), **_ids(pair)} for pair in gone])
        cursor.executemany(
            _SQL["keep_former"], [{**scope.values(), **_ids(pair), "method": method} for pair, method in new]
        )


def settings(conn: Connection, tenant: str, account: str) -> AccountSettings:
    """The account's settings; the defaults for an account that is gone.

    Raises:
        InvalidAccount: they were stored by another version.
    """
    row = conn.execute(_SQL["settings"], {"tenant": tenant, "account": account}).fetchone()
    return AccountSettings() if row is None else stored_settings(row[0])


def account_exists(conn: Connection, tenant: str, account: str) -> bool:
    """Whether jobs may run for the account."""
    row = conn.execute(_SQL["account_exists"], {"tenant": tenant, "account": account}).fetchone()
    return row is not None and row[0]


def _ids(pair: Pair) -> dict[str, str]:
    return {"nhanh_id": pair[0], "shopify_id": pair[1]}


def _values(scope: Scope, row: Match) -> dict[str, object]:
    return {
        **scope.values(),
        "nhanh_id": row.nhanh_id,
        "shopify_id": row.shopify_id,
        "status": row.status,
        "method": row.method,
        "score": row.score,
        "reason": row.reason,
    }
