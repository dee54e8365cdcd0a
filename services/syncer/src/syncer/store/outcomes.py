"""How items came out of their syncs: which are as they should be, since when, and which have failed."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from psycopg import Connection
from psycopg.types.json import Jsonb

from job_events.events import ErrorInfo
from service_kit.sql_files import queries
from syncer.store.rows import PAGE, Scope

_SQL = queries("syncer", "outcomes.sql")


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one linked item.

    synced: it was written, or found as it should be. failure: why it failed; None: it did not, which ends earlier
    failures. agreed: field -> value as stored that a pull found as it should be and that is not stored yet.
    """

    hub_id: str
    remote_id: str
    synced: bool = False
    failure: ErrorInfo | None = None
    agreed: Mapping[str, str] | None = None


def stage(conn: Connection, outcomes: Iterable[ItemOutcome]) -> None:
    """Keep outcomes in this transaction until `settle`, without a lock on any row."""
    conn.execute(_SQL["stage"])
    with conn.cursor() as cursor, cursor.copy(_SQL["copy_stage"]) as copy:
        for one in outcomes:
            agreed = None if one.agreed is None else Jsonb(dict(one.agreed))
            error = one.failure
            failed = (None, None, None) if error is None else (error.category, error.code, error.message)
            copy.write_row((one.hub_id, one.remote_id, one.synced, agreed, *failed))


def settle(conn: Connection, scope: Scope, job_id: str, *, of_sync: bool) -> None:
    """Store what was staged in this transaction. The caller holds the lock of `changes.lock`.

    of_sync: the job writes the hub's values. After a revert an item is not synced, and a revert that failed is not
    what a retry repeats.
    """
    values = scope.values(job_id=job_id)
    conn.execute(_SQL["stage"])
    conn.execute(_SQL["agree"], values)
    if of_sync:
        for name in ("mark_synced", "forget_failures", "note_failures"):
            conn.execute(_SQL[name], values)


def forget_unlinked(conn: Connection, scope: Scope) -> None:
    """Delete the failures of items that are no longer linked. The caller holds the lock of `changes.lock`."""
    conn.execute(_SQL["forget_unlinked"], scope.values())


def count_failed(conn: Connection, scope: Scope) -> int:
    """How many items `scope.failed` selects, linked or not."""
    row = conn.execute(_SQL["count_failed"], scope.values()).fetchone()
    return row[0] if row else 0


def pages_of_unlinked(conn: Connection, scope: Scope) -> Generator[list[tuple[str, str]], None, None]:
    """(hub id, remote id) of the items of `scope.failed` that are no longer linked, PAGE at a time."""
    with conn.cursor(f"{scope.kind}_unlinked") as cursor:
        cursor.itersize = PAGE
        rows = iter(cursor.execute(_SQL["unlinked"], scope.values()))
        while page := list(islice(rows, PAGE)):
            yield page
