"""A job's inputs as they were when it was planned, so that every agent and every attempt sees the same records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from matcher.domain.candidates import FormerLink, Method, Pair
from platforms.adapter import Kind
from service_kit.sql_files import queries

_SQL = queries("matcher", "snapshot.sql")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose matches, of which kind of record, and between which two platforms: the hub and a channel (`platform`)."""

    tenant: str
    account: str
    kind: Kind
    platform: str
    hub: str

    def values(self, **more: object) -> dict[str, object]:
        """The scope as query parameters."""
        return {
            "tenant": self.tenant,
            "account": self.account,
            "kind": self.kind,
            "platform": self.platform,
            "hub": self.hub,
            **more,
        }


def drop_finished(conn: Connection) -> None:
    """Delete the snapshots of jobs that were cancelled or broke off."""
    conn.execute(_SQL["drop_finished"])


def both_present(conn: Connection, scope: Scope, job_id: str, pairs: Iterable[Pair]) -> int:
    """How many of the pairs have both their records in the snapshot."""
    row = conn.execute(_SQL["both_present"], _pair_values(scope, job_id, pairs)).fetchone()
    return 0 if row is None else row[0]


def former_links(conn: Connection, scope: Scope, job_id: str, pairs: Mapping[Pair, Method]) -> list[FormerLink]:
    """The pairs with what the snapshot still has of them."""
    rows = conn.execute(_SQL["presence"], _pair_values(scope, job_id, pairs)).fetchall()
    return [
        FormerLink(hub_id, remote_id, pairs[hub_id, remote_id], hub_present, remote_present)
        for hub_id, remote_id, hub_present, remote_present in rows
    ]


def records(conn: Connection, job_id: str) -> dict[str, dict[str, Any]]:
    """Platform -> record id -> record as a JSON object; without a platform that has no records."""
    found: dict[str, dict[str, Any]] = {}
    for platform, record_id, record in conn.execute(_SQL["records"], {"job_id": job_id}):
        found.setdefault(platform, {})[record_id] = record
    return found


def drop(conn: Connection, job_id: str) -> None:
    """Delete the snapshot of a job."""
    conn.execute(_SQL["drop"], {"job_id": job_id})


def exists(conn: Connection, scope: Scope, platform: str, record_id: str) -> bool:
    """Whether the catalogue has this record of the hub or of the channel now.

    Raises:
        psycopg.errors.UndefinedTable, InvalidSchemaName: the puller has never run on this database.
    """
    values = scope.values(record_id=record_id) | {"platform": platform}
    row = conn.execute(_SQL[f"{scope.kind}_exists"], values).fetchone()
    return row is not None and row[0]


def _pair_values(scope: Scope, job_id: str, pairs: Iterable[Pair]) -> dict[str, object]:
    every = list(pairs)
    hub_ids, remote_ids = [hub_id for hub_id, _ in every], [remote_id for _, remote_id in every]
    return scope.values(job_id=job_id, hub_ids=hub_ids, remote_ids=remote_ids)
