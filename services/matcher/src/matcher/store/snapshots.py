"""A job's inputs as they were when it was planned, so that every agent and every attempt sees the same records."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from psycopg import Connection

from matcher.domain.candidates import FormerLink, Method, Pair
from service_kit.sql_files import queries

Kind = Literal["product", "customer"]
Platform = Literal["nhanh", "shopify"]
_SQL = queries("matcher", "snapshot.sql")


def take(conn: Connection, kind: Kind, job_id: str, tenant: str, account: str) -> tuple[int, int]:
    """Copy the catalogue's records of an account; the numbers of Nhanh's and of Shopify's.

    Raises:
        psycopg.errors.UndefinedTable, InvalidSchemaName: the puller has never run on this database.
    """
    conn.execute(_SQL["drop_finished"])
    conn.execute(_SQL[f"take_{kind}"], {"job_id": job_id, "tenant": tenant, "account": account})
    return sizes(conn, job_id)


def sizes(conn: Connection, job_id: str) -> tuple[int, int]:
    """The numbers of Nhanh's and of Shopify's records."""
    row = conn.execute(_SQL["sizes"], {"job_id": job_id}).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def both_present(conn: Connection, job_id: str, pairs: Iterable[Pair]) -> int:
    """How many of the pairs have both their records in the snapshot."""
    every = list(pairs)
    values = {"job_id": job_id, "nhanh_ids": [left for left, _ in every], "shopify_ids": [right for _, right in every]}
    row = conn.execute(_SQL["both_present"], values).fetchone()
    return 0 if row is None else row[0]


def former_links(conn: Connection, job_id: str, pairs: Mapping[Pair, Method]) -> list[FormerLink]:
    """The pairs with what the snapshot still has of them."""
    values = {"job_id": job_id, "nhanh_ids": [left for left, _ in pairs], "shopify_ids": [right for _, right in pairs]}
    rows = conn.execute(_SQL["presence"], values).fetchall()
    return [
        FormerLink(nhanh_id, shopify_id, pairs[nhanh_id, shopify_id], nhanh_present, shopify_present)
        for nhanh_id, shopify_id, nhanh_present, shopify_present in rows
    ]


def records(conn: Connection, job_id: str) -> dict[Platform, dict[str, Any]]:
    """All records of both sides by id, as JSON objects."""
    sides: dict[Platform, dict[str, Any]] = {"nhanh": {}, "shopify": {}}
    for side, record_id, record in conn.execute(_SQL["records"], {"job_id": job_id}):
        sides[side][record_id] = record
    return sides


def drop(conn: Connection, job_id: str) -> None:
    """The job is resolved; nobody needs its inputs any more."""
    conn.execute(_SQL["drop"], {"job_id": job_id})


def exists(conn: Connection, kind: Kind, platform: Platform, tenant: str, account: str, record_id: str) -> bool:
    """Whether the catalogue has this record now. Raises as `take` does."""
    values = {"tenant": tenant, "account": account, "platform": platform, "record_id": record_id}
    row = conn.execute(_SQL[f"{kind}_exists"], values).fetchone()
    return row is not None and row[0]
