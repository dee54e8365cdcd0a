"""Plan tokens: the changes that a stopped or held run has shown, and that a confirmation lets through."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid5

from psycopg import Connection

from platforms.adapter import Kind
from service_kit.sql_files import queries
from syncer.domain.fields import last_written_of
from syncer.domain.guard import Approved
from syncer.domain.plan import Change
from syncer.store.rows import Scope

_SQL = queries("syncer", "tokens.sql")
_NAMESPACE: Final = UUID("c0d1a8a4-6c1b-5a53-9a0e-3e5a3e0f4b27")


def token_of(job_id: str) -> str:
    """The plan token of a job: every attempt hands out the same."""
    return f"plan-{uuid5(_NAMESPACE, job_id).hex}"


def show(conn: Connection, scope: Scope, job_id: str, changes: Mapping[str, Sequence[Change]]) -> str:
    """Store changes by remote id as shown by the job; its token."""
    token = token_of(job_id)
    conn.execute(_SQL["put_token"], scope.values(token=token, job_id=job_id))
    rows = [
        {
            "token": token,
            "remote_id": remote_id,
            "field": change.field,
            "before": last_written_of(change.field, change.before),
            "after": last_written_of(change.field, change.after),
        }
        for remote_id, of_item in changes.items()
        for change in of_item
    ]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["put_change"], rows)
    return token


def approved(conn: Connection, scope: Scope, kinds: Sequence[Kind], token: str) -> Approved | None:
    """The changes that a token stands for; None if no recent run of this account and channel has given it out.

    kinds: of the records of the job. A token has the kind of the first change that it stands for.
    """
    row = conn.execute(_SQL["exists"], scope.values(token=token, kinds=list(kinds))).fetchone()
    if row is None or not row[0]:
        return None
    rows = conn.execute(_SQL["changes"], {"token": token}).fetchall()
    return {(remote_id, field): (before, after) for remote_id, field, before, after in rows}


def prune(conn: Connection, keep: timedelta, rows: int) -> int:
    """Delete up to `rows` tokens older than `keep` with their changes; how many there were."""
    return conn.execute(_SQL["prune"], {"keep": keep, "rows": rows}).rowcount
