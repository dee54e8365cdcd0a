"""Targets: what is special to a sync of products, of customers, and to a revert; all else is the same for them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.adapter import Kind, RemoteRecord, Writer
from platforms.errors import PlatformError
from platforms.settings import AccountSettings
from syncer.domain.fields import Present, Values
from syncer.domain.plan import Change, LastWritten
from syncer.store import outcomes, rows
from syncer.store.rows import Row, Scope

_STALE: Final = {
    "unread": "could not be read by the last pull",
    "unseen": "was not listed by the last complete pull",
}
_UNITS: Final[Mapping[Kind, str]] = {"product": "variant, not of the product it belongs to", "customer": "customer"}
_NO_LONGER_LINKED: Final = ErrorInfo(
    "NOT_FOUND", "NOT_LINKED", "its match was deleted or moved since it failed, so nothing is left to retry"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A matched pair as the catalogue has it. problem: why it cannot be synced; skipped: it then counts as skipped, not
    as failed. remote_id: empty where the hub's record is linked to none.

    about: what people are shown of it: `title`, `sku`, `linked_by`; nothing personal.
    wrote: what the job that is taken back wrote, field by field; empty unless this is a revert.
    """

    hub_id: str
    remote_id: str
    desired: Values = field(default_factory=dict[str, str])
    catalogue: Present = field(default_factory=dict[str, str | None])
    pulled_at: datetime | None = None
    last_written: LastWritten = field(default_factory=LastWritten)
    problem: ErrorInfo | None = None
    skipped: bool = False
    about: dict[str, str] = field(default_factory=dict[str, str])
    wrote: Values = field(default_factory=dict[str, str])


Records = Mapping[str, RemoteRecord]
"""Records of the channel as just read, by id."""


class MatchedTarget(ABC):
    """A target whose pairs are the account's linked matches."""

    writes_hub_values = True

    @abstractmethod
    def pairs(self, conn: Connection, scope: Scope, found: list[Row], read: Records) -> list[Pair]:
        """The pairs of a page of rows."""

    def note(self, changes: Sequence[Change]) -> str | None:
        """Nothing: the values are shown as they are."""
        del changes

    def count(self, conn: Connection, scope: Scope) -> int:
        """How many items were asked for, or are linked."""
        if scope.only is not None:
            return len(scope.only)
        return rows.count_pairs(conn, scope) if scope.failed is None else outcomes.count_failed(conn, scope)

    def pages(self, conn: Connection, scope: Scope, read: Records) -> Iterator[list[Pair]]:
        """The linked pairs, page by page."""
        for found in rows.pages_of_pairs(conn, scope):
            yield self.pairs(conn, scope, found, read)

    def absent(self, conn: Connection, scope: Scope, found: Collection[str]) -> Iterator[list[Pair]]:
        """Chosen ids that are not linked, and failed items that no longer are."""
        if scope.failed is not None:
            for page in outcomes.pages_of_unlinked(conn, scope):
                yield [Pair(hub, remote, problem=_NO_LONGER_LINKED, skipped=True) for hub, remote in page]
        missing = [one for one in scope.only or () if one not in found]
        known = rows.in_hub(conn, scope, missing) if missing else set[str]()
        yield [Pair(one, "", problem=_not_linked(scope, one, in_hub=one in known)) for one in missing]


def _not_linked(scope: Scope, hub_id: str, *, in_hub: bool) -> ErrorInfo:
    what = f"{scope.kind} {hub_id[:128]}"
    if in_hub:
        advice = f"run the match, or link it: `jobtrail matches list --kind {scope.kind}` shows what waits for review"
        return ErrorInfo("NOT_FOUND", "NOT_LINKED", f"{what} is linked to no record of {scope.platform}: {advice}")
    advice = f"check the id (of a {_UNITS[scope.kind]}), or pull Nhanh's {scope.kind}s again"
    return ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", f"Nhanh's catalogue has no {what}: {advice}")


class SyncTarget(Protocol):
    """What a sync writes: of products, of customers, or what a revert takes back. One instance a job."""

    @property
    def kind(self) -> Kind: ...

    @property
    def writes_hub_values(self) -> bool:
        """Whether an item that is written is thereby synced."""
        ...

    def prepare(self, writer: Writer, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Read what the plan needs of the channel and of the catalogue. Raises PlatformError, JobFailed."""
        ...

    def note(self, changes: Sequence[Change]) -> str | None:
        """What people are shown of an item's changes besides the values, which may be masked."""
        ...

    def check_writable(self) -> None:
        """Refuse a job whose values would mean something else in the channel, such as prices in another currency.

        Called after `prepare`, in each attempt, before the first batch of a job that has something to compare or to
        write; a job without changes costs no request. Raises PlatformError, JobFailed.
        """
        ...

    def count(self, conn: Connection, scope: Scope) -> int:
        """How many items `pages` and `absent` give together."""
        ...

    def pages(self, conn: Connection, scope: Scope, read: Records) -> Iterator[list[Pair]]:
        """The pairs in a stable order: the desired values of each, and those that it is believed to hold.

        read: records as just read; where the desired values depend on what the channel holds, these count instead of
        the catalogue.
        """
        ...

    def absent(self, conn: Connection, scope: Scope, found: Collection[str]) -> Iterator[list[Pair]]:
        """What was asked for and is in no page, each with its problem. found: the ids of the hub in the pages; only
        filled if `scope.only` is given.
        """
        ...


def without_values(row: Row, scope: Scope, not_in_hub: ErrorInfo, shown: dict[str, str]) -> Pair | None:
    """The pair of a record whose values are missing or outdated, None where they can be used.

    not_in_hub: the problem of a record that the hub no longer has: a failure if its id was chosen.
    """
    problem = _stale_problem(row) if row["on_hub"] else not_in_hub
    if problem is None:
        return None
    skipped = row["on_hub"] or scope.only is None
    return Pair(row["hub_id"], row["remote_id"], problem=problem, skipped=skipped, about=shown)


def _stale_problem(row: Row) -> ErrorInfo | None:
    """Why the catalogue's values of a pair may be outdated: the last pull did not read, or did not find, a record."""
    reasons = [
        f"{whose} record {_STALE.get(how, how)}"
        for whose, how in (("Nhanh's", row["hub_stale"]), ("the shop's", row["remote_stale"]))
        if how is not None
    ]
    return ErrorInfo("VALIDATION_FAILED", "STALE", f"{'; '.join(reasons)}; pull again") if reasons else None


def about(linked_by: str, **more: str | None) -> dict[str, str]:
    """What people are shown of a pair, without what is empty."""
    return {name: text for name, text in {**more, "linked_by": linked_by}.items() if text}


def error_info(error: PlatformError) -> ErrorInfo:
    """A platform's error in the form of the contract."""
    return ErrorInfo(error.category, error.code[:512], error.message[:4096])
