"""What reconciles have found: each field that differs, since when, and the figures of the last complete run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg import Connection

from service_kit.sql_files import queries
from syncer.domain.drift import Drift
from syncer.store.rows import Scope

_SQL = queries("syncer", "reconciliations.sql")


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts of a complete run, as the view api_reconciliations explains them."""

    checked: int
    drifted: int
    drift_stock: int
    drift_price: int
    missing: int
    not_compared: int


def linked_after(conn: Connection, scope: Scope, after: str, limit: int) -> list[tuple[str, str]]:
    """(hub id, remote id) of the next linked pairs behind the remote id `after`, in the order of the remote ids."""
    return conn.execute(_SQL["linked_after"], scope.values(after=after, limit=limit)).fetchall()


def note(
    conn: Connection, scope: Scope, remote_ids: Sequence[str], drifts: Mapping[tuple[str, str], Drift]
) -> dict[str, datetime]:
    """Store how the records `remote_ids` differ, by (hub id, remote id); since when each of them does, by remote id.

    The time of a field is that of the run that first found it to differ. A field that does not differ any more is
    forgotten.
    """
    found = [
        (hub_id, remote_id, change.field) for (hub_id, remote_id), drift in drifts.items() for change in drift.changes
    ]
    values = scope.values(
        ids=list(remote_ids),
        hub_ids=[hub_id for hub_id, _, _ in found],
        drifted_ids=[remote_id for _, remote_id, _ in found],
        fields=[field for _, _, field in found],
    )
    conn.execute(_SQL["forget"], values)
    since: dict[str, datetime] = {}
    for remote_id, first_found in conn.execute(_SQL["note"], values):
        since[remote_id] = min(first_found, since.get(remote_id, first_found))
    return since


def complete(conn: Connection, scope: Scope, job_id: str, figures: Figures) -> None:
    """Store the figures of a run that has compared all linked products, and forget products that are not linked."""
    conn.execute(_SQL["forget_unlinked"], scope.values())
    conn.execute(_SQL["complete"], scope.values(job_id=job_id, **asdict(figures)))
