"""Links whose record of the channel is gone, and the records that may have replaced it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import class_row, dict_row

from matcher.domain.candidates import Method
from matcher.domain.mappings import Match, Status
from matcher.domain.product_codes import Product
from matcher.domain.replacements import Replaced
from matcher.store.snapshots import Scope
from service_kit.sql_files import queries

_SQL = queries("matcher", "repair.sql")


@dataclass(frozen=True, slots=True)
class CompletePull:
    """The last pull that read everything. age: seconds since it began."""

    began: datetime
    age: int


def complete_pull(conn: Connection, scope: Scope) -> CompletePull | None:
    """The channel's last complete pull.

    Raises:
        psycopg.errors.UndefinedTable, InvalidSchemaName: the puller has never run on this database.
    """
    row = conn.execute(_SQL["complete_pull"], scope.values()).fetchone()
    return None if row is None else CompletePull(*row)


def count_links(conn: Connection, scope: Scope) -> int:
    """How many links there are."""
    row = conn.execute(_SQL["links"], scope.values()).fetchone()
    return 0 if row is None else row[0]


@dataclass(frozen=True, slots=True)
class _Row:
    hub_id: str
    remote_id: str
    status: Status
    method: Method
    score: float
    old: dict[str, Any] | None
    hub: dict[str, Any] | None


def replaced(conn: Connection, scope: Scope) -> list[Replaced]:
    """The links whose record of the channel is no longer listed, by the hub's ids."""
    with conn.cursor(row_factory=class_row(_Row)) as cursor:
        rows = cursor.execute(_SQL["replaced"], scope.values()).fetchall()
    return [
        Replaced(
            Match(row.hub_id, row.remote_id, row.status, row.method, row.score),
            old=None if row.old is None else msgspec.convert(row.old, Product),
            hub=None if row.hub is None else msgspec.convert(row.hub, Product),
        )
        for row in rows
    ]


def unlinked(conn: Connection, scope: Scope) -> dict[str, Product]:
    """The records of the channel that the last pull read and that no match links."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["unlinked"], scope.values()).fetchall()
    return {row.pop("variant_id"): msgspec.convert(row, Product) for row in rows}


def drop_settled(conn: Connection, scope: Scope, gone: Collection[str]) -> None:
    """Delete suggestions for confirmed records whose partner is not among those that are `gone`."""
    conn.execute(_SQL["drop_settled"], scope.values(gone=list(gone)))


def drop_suggestions(conn: Connection, scope: Scope, hub_id: str, remote_id: str) -> None:
    """Delete what is suggested for two records that are linked now."""
    conn.execute(_SQL["drop_suggestions"], scope.values(hub_id=hub_id, remote_id=remote_id))
