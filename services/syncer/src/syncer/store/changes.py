"""What was written, field by field: the changes of the last hour for the guards, and what a revert takes back."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from psycopg import Connection
from psycopg.rows import class_row, dict_row

from platforms.adapter import Kind
from service_kit.sql_files import queries
from syncer.domain.guard import AccountState, AccountTotals
from syncer.domain.plan import Change
from syncer.store.rows import PAGE, Row, Scope

_SQL = queries("syncer", "changes.sql")


@dataclass(frozen=True, slots=True)
class IntendedChange:
    """A field that is about to be written. known, approved: how the guards count it; sold_out: its item's stock goes
    to zero by it.
    """

    hub_id: str
    remote_id: str
    change: Change
    known: bool
    approved: bool
    sold_out: bool


def lock(conn: Connection, scope: Scope) -> None:
    """Lock the guards of the account's syncs of this kind until the transaction ends."""
    conn.execute(_SQL["lock"], scope.values())


def account_totals(conn: Connection, scope: Scope) -> AccountTotals:
    """The numbers of the account's matched items of the channel, whatever `scope.only` is."""
    with conn.cursor(row_factory=class_row(AccountTotals)) as cursor:
        return cursor.execute(_SQL["totals"], scope.values()).fetchone() or AccountTotals()


def account_state(
    conn: Connection, scope: Scope, totals: AccountTotals, job_id: str, batch: int | None = None
) -> AccountState:
    """The account's totals with what its syncs have changed within the last hour, without the items that the job's
    plan, or a batch of it, names.
    """
    row = conn.execute(_SQL["last_hour"], scope.values(job_id=job_id, batch=batch)).fetchone()
    changed, sold_out = row or (0, 0)
    return AccountState(totals, changed, sold_out)


def intend(conn: Connection, scope: Scope, job_id: str, changes: Iterable[IntendedChange]) -> None:
    """Note what is about to be written."""
    rows = [
        scope.values(
            job_id=job_id,
            hub_id=one.hub_id,
            remote_id=one.remote_id,
            field=one.change.field,
            before=one.change.before,
            after=one.change.after,
            known=one.known,
            approved=one.approved,
            sold_out=one.sold_out,
        )
        for one in changes
    ]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["intend"], rows)


def confirm(conn: Connection, job_id: str, remote_id: str, written: Sequence[str], refused: Sequence[str]) -> None:
    """Note which fields of an item were written, and delete those that the channel refused."""
    values = {"job_id": job_id, "remote_id": remote_id}
    if written:
        conn.execute(_SQL["confirm"], {**values, "fields": list(written)})
    if refused:
        conn.execute(_SQL["refuse"], {**values, "fields": list(refused)})


def written_by_job(conn: Connection, tenant: str, account: str, job_id: str) -> list[tuple[Kind, str]]:
    """The kinds of records that a job of this account has written, each with the channel; a retry may have two."""
    values = {"reverted": job_id, "tenant": tenant, "account": account}
    return [(kind, platform) for kind, platform in conn.execute(_SQL["kinds_of_job"], values)]


def ids_of_job(conn: Connection, tenant: str, account: str, job_id: str, only: Sequence[str]) -> set[str]:
    """Those of the hub's ids to whose records a job of this account has written."""
    values = {"reverted": job_id, "tenant": tenant, "account": account, "only": list(only)}
    return {hub_id for (hub_id,) in conn.execute(_SQL["ids_of_job"], values)}


def count_of_job(conn: Connection, scope: Scope, job_id: str) -> int:
    """How many items of a kind a job of this account has written."""
    row = conn.execute(_SQL["count_of_job"], scope.values(reverted=job_id)).fetchone()
    return 0 if row is None else row[0]


def being_written(conn: Connection, scope: Scope, job_id: str, remote_ids: Sequence[str]) -> set[str]:
    """Those of the items that another running job is writing now. The caller holds `lock`."""
    values = scope.values(job_id=job_id, ids=list(remote_ids))
    return {remote_id for (remote_id,) in conn.execute(_SQL["being_written"], values)}


def pages_of_job(conn: Connection, scope: Scope, job_id: str) -> Generator[list[Row], None, None]:
    """What a job of this account has written, item by item, PAGE at a time."""
    with conn.cursor("changes_of_job", row_factory=dict_row) as cursor:
        cursor.itersize = PAGE
        rows = iter(cursor.execute(_SQL["of_job"], scope.values(reverted=job_id)))
        while page := list(islice(rows, PAGE)):
            yield page


def prune(conn: Connection, keep: timedelta, rows: int) -> int:
    """Delete up to `rows` changes older than `keep`; how many there were."""
    return conn.execute(_SQL["prune"], {"keep": keep, "rows": rows}).rowcount
