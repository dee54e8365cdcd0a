"""What we wrote last to each item of a platform, or found right there."""

from collections.abc import Collection, Mapping, Sequence

from psycopg import Connection
from psycopg.types.json import Jsonb

from service_kit.sql_files import queries
from syncer.domain.plan import LastWritten
from syncer.store.rows import Scope

_SQL = queries("syncer", "written.sql")


def load(conn: Connection, scope: Scope, remote_ids: Sequence[str]) -> dict[str, LastWritten]:
    """Shopify id -> memory, for those that have one."""
    rows = conn.execute(_SQL["load"], scope.values(ids=list(remote_ids))).fetchall()
    return {remote_id: LastWritten(fields, pending, written_at) for remote_id, fields, pending, written_at in rows}


def mark_pending(
    conn: Connection, scope: Scope, job_id: str, hub_id: str, remote_id: str, memories: Mapping[str, str]
) -> None:
    """Note what is about to be written: should the answer be lost, the value still counts as ours."""
    values = scope.values(job_id=job_id, hub_id=hub_id, remote_id=remote_id, pending=Jsonb(dict(memories)))
    conn.execute(_SQL["pend"], values)


def agree(conn: Connection, scope: Scope, job_id: str, agreements: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
    """Note values that a pull shows right: (Nhanh id, Shopify id) -> field -> memory."""
    rows = [
        scope.values(job_id=job_id, hub_id=hub_id, remote_id=remote_id, fields=Jsonb(dict(memories)))
        for (hub_id, remote_id), memories in agreements.items()
    ]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["agree"], rows)


def confirm(
    conn: Connection,
    scope: Scope,
    job_id: str,
    hub_id: str,
    remote_id: str,
    memories: Mapping[str, str],
    *,
    settled: Collection[str],
    fresh: bool,
) -> None:
    """Note what is there now by our doing, or was found right.

    settled: the fields whose writes have ended, well or not; they are pending no more.
    fresh: the whole item is as it should be, so until the next pull our memory is the newest word on it.
    """
    values = scope.values(job_id=job_id, hub_id=hub_id, remote_id=remote_id, fields=Jsonb(dict(memories)))
    conn.execute(_SQL["settle"], {**values, "settled": list(settled), "fresh": fresh})
