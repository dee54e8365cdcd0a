"""What the two kinds of sync must say about themselves; all else is the same for both."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.errors import PlatformError
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain.fields import Present, Values
from syncer.domain.plan import Change, LastWritten
from syncer.store import rows
from syncer.store.exchanges import ExchangeLog
from syncer.store.plans import FieldOutcome, Intended
from syncer.store.rows import Kind, Row, Scope

_STALE: Final = {
    "unread": "could not be read by the last pull",
    "unseen": "was not listed by the last complete pull",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A mapped pair as the catalogue knows it. problem: why it can't be synced at all, with what it counts as.

    about: what people are shown of it: `title`, `sku`, `linked_by`; nothing personal.
    wrote: what the job that is taken back wrote, field by field; empty unless this is a revert.
    """

    hub_id: str
    remote_id: str
    desired: Values = field(default_factory=dict[str, str])
    catalogue: Present = field(default_factory=dict[str, str | None])
    pulled_at: datetime | None = None
    memory: LastWritten = field(default_factory=LastWritten)
    problem: ErrorInfo | None = None
    skipped: bool = False
    about: dict[str, str] = field(default_factory=dict[str, str])
    wrote: Values = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Read:
    """One record as the platform holds it now. refs: further ids of it that a write needs."""

    fields: Present
    refs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Writing:
    """What a write needs besides its items. The three names make its idempotency keys."""

    client: ShopifyClient
    log: ExchangeLog
    job_id: str
    batch: int
    step: int


class MappedTarget(ABC):
    """A side whose pairs are the account's mappings."""

    @abstractmethod
    def pairs(self, conn: Connection, scope: Scope, found: list[Row]) -> list[Pair]:
        """What the rows of a page should be and are believed to be."""

    def note(self, changes: Sequence[Change]) -> str | None:
        """Nothing: the values are shown as they are."""
        del changes

    def count(self, conn: Connection, scope: Scope) -> int:
        """How many pairs are mapped for good."""
        return rows.count_pairs(conn, scope)

    def pages(self, conn: Connection, scope: Scope) -> Iterator[list[Pair]]:
        """The mapped pairs, page by page."""
        for found in rows.pages_of_pairs(conn, scope):
            yield self.pairs(conn, scope, found)


class SyncTarget(Protocol):
    """What is special to products or to customers. One instance a job."""

    @property
    def kind(self) -> Kind: ...

    @property
    def batch_size(self) -> int:
        """Items that are read, written and checkpointed together."""
        ...

    def prepare(self, client: ShopifyClient, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Read what the plan needs of the shop and of the catalogue. Raises PlatformError, JobFailed."""
        ...

    def note(self, changes: Sequence[Change]) -> str | None:
        """What people should know of an item's changes besides the values, which may be masked."""
        ...

    def check_writable(self) -> None:
        """Refuse a job whose values the shop would understand otherwise than they are meant.

        Called after `prepare`, in each attempt, before the first batch of a job that has something to compare or to
        write; a job without changes costs no request. Raises PlatformError, JobFailed.
        """
        ...

    def count(self, conn: Connection, scope: Scope) -> int:
        """How many pairs there are."""
        ...

    def pages(self, conn: Connection, scope: Scope) -> Iterator[list[Pair]]:
        """The pairs in a stable order: what each should be and is believed to be.

        Of records that `read` has just read, it is decided by what they hold now instead of by the catalogue which of
        the shop's values stay.
        """
        ...

    def read(self, client: ShopifyClient, remote_ids: Sequence[str]) -> dict[str, Read]:
        """The present values of those records that exist."""
        ...

    def write(self, writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        """Write the `writes` of all items; one outcome a field, as soon as it is known.

        Raises PlatformError only where nothing can go on; what was told before stays done.
        """
        ...


def stale_problem(row: Row) -> ErrorInfo | None:
    """Why the catalogue's word on a pair can't be trusted: what the last pull could not read, or did not find."""
    reasons = [
        f"{whose} record {_STALE.get(how, how)}"
        for whose, how in (("Nhanh's", row["hub_stale"]), ("the shop's", row["shop_stale"]))
        if how is not None
    ]
    return ErrorInfo("VALIDATION_FAILED", "STALE", f"{'; '.join(reasons)}; pull again") if reasons else None


def about(linked_by: str, **more: str | None) -> dict[str, str]:
    """What people are shown of a pair, without what is empty."""
    return {name: text for name, text in {**more, "linked_by": linked_by}.items() if text}


def error_info(error: PlatformError) -> ErrorInfo:
    """A platform's error in the words of the contract."""
    return ErrorInfo(error.category, error.code[:512], error.message[:4096])


def outcomes(remote_id: str, changes: Iterable[Change], error: PlatformError | None, ms: int) -> list[FieldOutcome]:
    """The same ending for several fields of one item."""
    info = None if error is None else error_info(error)
    return [FieldOutcome(remote_id, change.field, info, ms) for change in changes]
