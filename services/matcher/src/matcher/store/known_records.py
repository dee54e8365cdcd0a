"""The catalogue's records as the matcher knows them: what changed since the stored candidates were made, and by which
keys records meet."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from matcher.domain.candidates import FormerLink, Method, Pair
from matcher.domain.customers import SHARED, Customer
from matcher.domain.record_keys import EVIDENCE, customer_keys, product_keys
from matcher.domain.text import full_name
from matcher.store.snapshots import Scope
from service_kit.database import refresh_statistics
from service_kit.sql_files import queries

_SQL = queries("matcher", "known_records.sql")
_BATCH = 5000
"""Records between two looks at whether the job must stop."""
_MANY = 1000
"""Rows after which the planner must learn of them. ANALYZE of one table waits for that of another account's job."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue as read in this transaction: numbers of records. generation: how often it was read before.

    time: of the database.
    """

    of_hub: int
    of_channel: int
    generation: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What the stored candidates were made with; all None where there are none. snapshot_at: of their records."""

    version: str | None = None
    settings: str | None = None
    snapshot_at: datetime | None = None
    generation: int = 0


def read_catalogue(conn: Connection, scope: Scope, version: str, check: Callable[[], None]) -> Catalogue:
    """Bring the known records up to date, in one transaction that also holds `catalogue_now`, the records themselves.

    version: of the rules; stored keys of another one are made again. check: is called between batches and raises where
    the job must stop.

    Raises:
        psycopg.errors.UndefinedTable, InvalidSchemaName: the puller has never run on this database.
    """
    values = scope.values(version=version)
    conn.execute(_SQL[f"read_{scope.kind}"], values)
    conn.execute(_SQL["index_catalogue"])
    conn.execute(_SQL["analyze_catalogue"])
    conn.execute(_SQL["incoming"])
    with conn.cursor("changed") as changed, conn.cursor() as cursor:
        changed.execute(_SQL["changed"], values)
        while rows := changed.fetchmany(_BATCH):
            check()
            with cursor.copy("copy incoming (side, record_id, digest, keys, about) from stdin") as copy:
                for side, record_id, digest, record in rows:
                    copy.write_row((side, record_id, digest, _keys(scope, record), Jsonb(record)))
    written = conn.execute(_SQL["put"], values).rowcount
    conn.execute(_SQL["note_gone"], values)
    if written > _MANY:
        refresh_statistics(conn, "known_record")
    (generation,) = _one(conn, "next_generation", values)
    of_hub, of_channel = _one(conn, "sizes", values)
    return Catalogue(of_hub, of_channel, generation, _one(conn, "memory", values)[4])


def memory(conn: Connection, scope: Scope) -> Memory:
    """What the stored candidates were made with."""
    row = conn.execute(_SQL["memory"], scope.values()).fetchone()
    return Memory() if row is None else Memory(*row[:4])


def remember(conn: Connection, scope: Scope, job_id: str, memory: Memory) -> None:
    """Note that the stored candidates are those of all known records."""
    values = scope.values(
        job_id=job_id, **{name: getattr(memory, name) for name in ("version", "settings", "snapshot_at")}
    )
    conn.execute(_SQL["mark_scored"], values)
    conn.execute(_SQL["forget"], values)
    conn.execute(_SQL["remember"], values)


def note_changes(conn: Connection, scope: Scope, since: datetime | None) -> tuple[int, int]:
    """Collect what changed since the stored candidates were made, and what was noticed from `since` on.

    The number of records, and of those whose names changed, which came, or which are gone.
    """
    conn.execute(_SQL["changes"], scope.values(since=since or "infinity"))
    records, names = _one(conn, "count_changes", {})
    return records, names


def note_affected(conn: Connection, scope: Scope) -> None:
    """Collect the records of the hub whose candidates depend on a change."""
    conn.execute(_SQL[f"affected_{scope.kind}"], scope.values())


def affected_positions(conn: Connection, scope: Scope) -> list[int]:
    """Positions of the affected records among all of the hub's in the order of their ids."""
    return [position for (position,) in conn.execute(_SQL["affected_positions"], scope.values())]


def take_all(conn: Connection, scope: Scope, job_id: str) -> None:
    """Copy the catalogue as it was read into the job's snapshot."""
    conn.execute(_SQL["take_all"], scope.values(job_id=job_id))


def take_affected(conn: Connection, scope: Scope, job_id: str) -> int:
    """Copy the affected records and all that their candidates depend on; how many of the hub's there are."""
    conn.execute(_SQL["take_affected"], scope.values(job_id=job_id))
    row = conn.execute("select count(*) from snapshot where job_id = %s and side = %s", (job_id, scope.hub)).fetchone()
    return 0 if row is None else row[0]


def present(conn: Connection, scope: Scope, ids: Iterable[str]) -> set[str]:
    """Which of these records of the hub the catalogue has."""
    return {one for (one,) in conn.execute(_SQL["present"], scope.values(ids=list(ids)))}


def former_links(conn: Connection, scope: Scope, pairs: Mapping[Pair, Method]) -> list[FormerLink]:
    """The pairs with what the catalogue still has of them."""
    return [
        FormerLink(hub_id, remote_id, pairs[hub_id, remote_id], hub_present, remote_present)
        for hub_id, remote_id, hub_present, remote_present in _presence(conn, scope, pairs)
    ]


def both_present(conn: Connection, scope: Scope, pairs: Iterable[Pair]) -> int:
    """How many of the pairs have both their records in the catalogue."""
    return sum(hub and remote for _, _, hub, remote in _presence(conn, scope, pairs))


def phone_counts(conn: Connection, scope: Scope) -> dict[str, int]:
    """What the index of customers counts: phoneVariations and sharedKeysIgnored."""
    numbers, shared = _one(conn, "phone_counts", scope.values(shared=SHARED))
    return {"phoneVariations": numbers, "sharedKeysIgnored": shared}


def _presence(conn: Connection, scope: Scope, pairs: Iterable[Pair]) -> list[tuple[str, str, bool, bool]]:
    every = list(pairs)
    ids = {"hub_ids": [hub_id for hub_id, _ in every], "remote_ids": [remote_id for _, remote_id in every]}
    return conn.execute(_SQL["presence"], scope.values(**ids)).fetchall()


def _keys(scope: Scope, record: Mapping[str, Any]) -> list[str]:
    if scope.kind == "product":
        return product_keys(record.get("sku"), record.get("barcode"))
    return customer_keys(msgspec.convert(record, Customer))


def _one(conn: Connection, name: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    row = conn.execute(_SQL[name], values).fetchone()
    assert row is not None  # noqa: S101  each of these statements gives one row
    return row


@dataclass(frozen=True, slots=True)
class KeyedRecord:
    """A record with its stored keys. about: the fields that a comparison by keys reads."""

    side: str
    record_id: str
    keys: list[str]
    about: dict[str, Any]


def keyed(conn: Connection, scope: Scope) -> list[KeyedRecord]:
    """The records that share a key with one of the other side, and all of their own side that share one with them."""
    with conn.cursor(row_factory=class_row(KeyedRecord)) as cursor:
        return cursor.execute(_SQL["keyed"], scope.values(kinds=list(EVIDENCE[scope.kind]))).fetchall()


def names(conn: Connection, scope: Scope) -> dict[str, list[str]]:
    """The names of all products, by side."""
    found: dict[str, list[str]] = {}
    for side, title, variant_title in conn.execute(_SQL["names"], scope.values()):
        found.setdefault(side, []).append(full_name(title, variant_title))
    return found
