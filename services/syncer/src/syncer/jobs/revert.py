"""REVERT_SYNC: the values that a sync overwrote, written back where the channel still holds what the sync wrote."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.adapter import Kind, Writer
from platforms.field_names import EMAIL, NAME, PHONE
from platforms.settings import AccountSettings
from syncer.domain.fields import key_of
from syncer.domain.plan import Change, LastWritten
from syncer.jobs.targets import Pair, Records, SyncTarget
from syncer.store import changes
from syncer.store.rows import Row, Scope

_NO_VALUE: Final = ErrorInfo(
    "VALIDATION_FAILED", "NO_VALUE_BEFORE", "the shop had no value before, and this one cannot be taken out again"
)
_CLEARABLE: Final = frozenset({NAME, PHONE, EMAIL})
"""Fields that a channel can hold empty; a write cannot clear stock and metafields."""


class RevertTarget:
    """The values before the writes of one job, whose target was `target`. unknown: chosen ids that it did not write."""

    writes_hub_values = False

    def __init__(self, target: SyncTarget, reverted: str, unknown: Sequence[str] = ()) -> None:
        self._target = target
        self._reverted = reverted
        self._unknown = unknown

    @property
    def kind(self) -> Kind:
        return self._target.kind

    def prepare(self, writer: Writer, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Nothing: a revert needs neither depots nor prices of the hub."""

    def check_writable(self) -> None:
        """Nothing: the values come from the channel itself."""

    def note(self, changes: Sequence[Change]) -> str | None:
        return self._target.note(changes)

    def count(self, conn: Connection, scope: Scope) -> int:
        return changes.count_of_job(conn, scope, self._reverted) + len(self._unknown)

    def pages(self, conn: Connection, scope: Scope, read: Records) -> Iterator[list[Pair]]:
        del read  # the desired values are those of before
        for found in changes.pages_of_job(conn, scope, self._reverted):
            yield [_pair(row) for row in found]

    def absent(self, conn: Connection, scope: Scope, found: Collection[str]) -> Iterator[list[Pair]]:
        del conn, scope, found
        reason = f"job {self._reverted} has written nothing to it"
        yield [Pair(one, "", problem=ErrorInfo("NOT_FOUND", "NOT_WRITTEN", reason)) for one in self._unknown]


def _pair(row: Row) -> Pair:
    """An item whose fields should hold their values of before; they are believed to hold what the job wrote."""
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
        last_written=LastWritten(row["written"] or {}, row["pending"] or {}, row["written_at"]),
        problem=None if before else _NO_VALUE,
        skipped=True,
        about={name: text for name, text in about.items() if text},
        wrote=wrote,
    )


def _title(row: Row) -> str:
    return " ".join(part for part in (row["title"], row["variant_title"]) if part)
