"""REVERT_SYNC: the values that a sync overwrote, written back where the shop still holds what the sync wrote."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain.fields import EMAIL, NAME, PHONE, key_of
from syncer.domain.plan import Change, LastWritten
from syncer.jobs.side import Pair, Read, SyncTarget, Writing
from syncer.store import changes
from syncer.store.plans import FieldOutcome, Intended
from syncer.store.rows import Kind, Row, Scope

_NO_VALUE: Final = ErrorInfo(
    "VALIDATION_FAILED", "NO_VALUE_BEFORE", "the shop had no value before, and this one cannot be taken out again"
)
_CLEARABLE: Final = frozenset({NAME, PHONE, EMAIL})
"""Fields that a shop can hold empty; stock and our metafields cannot be emptied by a write."""


class RevertTarget:
    """Takes back what one job wrote; it reads and writes the shop as the side of that job does."""

    def __init__(self, side: SyncTarget, reverted: str) -> None:
        self._side = side
        self._reverted = reverted

    @property
    def kind(self) -> Kind:
        return self._side.kind

    @property
    def batch_size(self) -> int:
        return self._side.batch_size

    def prepare(self, client: ShopifyClient, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Nothing: a revert needs neither depots nor prices of the hub."""

    def check_writable(self) -> None:
        """Nothing: the values come from the shop itself."""

    def note(self, changes: Sequence[Change]) -> str | None:
        return self._side.note(changes)

    def count(self, conn: Connection, scope: Scope) -> int:
        return changes.count_of_job(conn, scope, self._reverted)

    def pages(self, conn: Connection, scope: Scope) -> Iterator[list[Pair]]:
        for found in changes.pages_of_job(conn, scope, self._reverted):
            yield [_pair(row) for row in found]

    def read(self, client: ShopifyClient, remote_ids: Sequence[str]) -> dict[str, Read]:
        return self._side.read(client, remote_ids)

    def write(self, writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        return self._side.write(writing, items)


def _pair(row: Row) -> Pair:
    """An item whose fields should hold what they held before; by belief they hold what the job wrote."""
    before: dict[str, str] = {}
    wrote: dict[str, str] = {}
    for name, (old, new) in row["changes"].items():
        if key_of(name, old) or name in _CLEARABLE:
            before[name], wrote[name] = old or "", new
    about = {"title": _title(row), "sku": row["sku"] or ""}
    return Pair(
        row["hub_id"],
        row["remote_id"],
        before,
        dict(wrote),
        memory=LastWritten(row["written"] or {}, row["pending"] or {}, row["written_at"]),
        problem=None if before else _NO_VALUE,
        skipped=True,
        about={name: text for name, text in about.items() if text},
        wrote=wrote,
    )


def _title(row: Row) -> str:
    return " ".join(part for part in (row["title"], row["variant_title"]) if part)
