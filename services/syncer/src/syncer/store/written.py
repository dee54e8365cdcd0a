"""What was last written to each item of a channel, or found there as it should be."""

from collections.abc import Collection, Mapping, Sequence

from psycopg import Connection
from psycopg.types.json import Jsonb

from service_kit.sql_files import queries
from syncer.domain.plan import LastWritten
from syncer.store.rows import Scope

_SQL = queries("syncer", "written.sql")


def load(conn: Connection, scope: Scope, remote_ids: Sequence[str]) -> dict[str, LastWritten]:
    """Remote id -> what was last written, for those to which something was."""
    rows = conn.execute(_SQL["load"], scope.values(ids=list(remote_ids))).fetchall()
    return {remote_id: LastWritten(fields, pending, written_at) for remote_id, fields, pending, written_at in rows}


def mark_pending(
    conn: Connection, scope: Scope, job_id: str, hub_id: str, remote_id: str, values: Mapping[str, str]
) -> None:
    """Store what is about to be written: if the answer is lost, the value still counts as written by a sync."""
    row = scope.values(job_id=job_id, hub_id=hub_id, remote_id=remote_id, pending=Jsonb(dict(values)))
    conn.execute(_SQL["mark_pending"], row)


def confirm(
    conn: Connection,
    scope: Scope,
    job_id: str,
    hub_id: str,
    remote_id: str,
    values: Mapping[str, str],
    *,
    ended: Collection[str],
    up_to_date: bool,
) -> None:
    """Store what was written, or found as it should be.

    ended: the fields whose writes have ended, successfully or not; they are no longer pending.
    up_to_date: the whole item is as it should be, so this is newer than the last pull.
    """
    row = scope.values(job_id=job_id, hub_id=hub_id, remote_id=remote_id, fields=Jsonb(dict(values)))
    conn.execute(_SQL["confirm"], {**row, "ended": list(ended), "up_to_date": up_to_date})
