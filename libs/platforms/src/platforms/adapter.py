"""What a platform's package declares: how it is read, how it is written, and what it needs to connect.

A package registers one `Platform` as an entry point of the group `jobtrail.platforms`; everything else reads the
registry. Values that a `Platform` carries are normalised: no service knows a platform's own JSON.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from platforms.connections import Connection
from platforms.errors import PlatformError
from platforms.records import Record, StockRecord
from platforms.results import CheckResult, OnExchange, Page, Wait
from platforms.sales import Deletion, SalesDocument, SalesList

if TYPE_CHECKING:  # its database driver takes longer to import than all else
    from platforms.buckets import Buckets

Kind = Literal["product", "customer"]
Role = Literal["hub", "channel"]
"""The hub is the master of stock, prices and customers; channels are written from it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records a pull wants, in the platform's own words; all empty means everything."""

    filters: Mapping[str, Any] | None = None
    query: str | None = None
    page_size: int | None = None


class Client(Protocol):
    """One connection in use; it counts what it costs."""

    @property
    def requests(self) -> int: ...

    @property
    def rate_limit_hits(self) -> int: ...

    def close(self) -> None: ...


class CallCounts:
    """A client's calls since the last count, by their names in a job's metadata, where its attempts add up.

    A checkpoint that is rolled back ends the attempt, and its counts with it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests = self._hits = 0

    def since_last(self) -> dict[str, int]:
        requests, hits = self._client.requests, self._client.rate_limit_hits
        calls = {"requests": requests - self._requests, "rateLimitHits": hits - self._hits}
        self._requests, self._hits = requests, hits
        return calls


@dataclass(frozen=True, slots=True)
class PageIterator:
    """One kind of record of one shop, page by page: `page(next)` gives the page behind a cursor (None = the first).

    count: how many records all pages should hold, as the platform counts them now; None = it does not say.
    clock: what the platform's clock showed, at the most, when the first request was sent; None = it does not say.
    """

    client: Client
    page: Callable[[Any | None], Page]
    count: Callable[[], int | None] = lambda: None
    clock: Callable[[], datetime | None] = lambda: None


@dataclass(frozen=True, slots=True)
class ChangedPages:
    """What changed since a time, page by page. A record may come that changed earlier, and a record that changes while
    the pages are read may come or not.

    asked: how it is asked for, for the job's metadata (`filters` or `query`).
    settled: how many of the records changed before that time and not since, as the platform counts them now; None = it
    does not say.
    """

    pages: PageIterator
    asked: Mapping[str, Any]
    settled: Callable[[datetime], int | None] = lambda _: None


OpenChanged = Callable[[Connection, datetime | None, Wait, "Buckets"], ChangedPages]
"""Opens what changed since a time of the platform's clock, that time included; None = everything."""


@dataclass(frozen=True, slots=True)
class ChosenReader:
    """Records of one shop by their ids: `read(ids)` gives the items that exist now, in any order.

    size: so many ids a call. `read` raises PlatformError.
    """

    client: Client
    size: int
    read: Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class PullSource:
    """How one kind of record is read. `read` raises MalformedRecord; `open` raises ValidationFailed for a selection
    that the platform does not take.

    changed: None where the platform does not tell what changed. chosen: opens what reads records by their ids; None
    where the platform cannot.
    """

    open: Callable[[Connection, Selection, Wait, "Buckets"], PageIterator]
    read: Callable[[Mapping[str, Any]], Record]
    changed: OpenChanged | None = None
    chosen: Callable[[Connection, Wait, "Buckets"], ChosenReader] | None = None


@dataclass(frozen=True, slots=True)
class StockSource:
    """How quantities are read where their changes are listed apart from those of the products. `read` raises
    MalformedRecord.
    """

    changed: OpenChanged
    read: Callable[[Mapping[str, Any]], StockRecord]


class SalesReader(Protocol):
    """Reads orders, retail bills and what was deleted of both, page by page. One instance a job."""

    @property
    def client(self) -> Client: ...

    def clock(self) -> datetime | None:
        """As `PageIterator.clock`."""
        ...

    def page(self, what: SalesList, since: datetime, until: datetime, next: Any | None) -> Page:
        """The page behind a cursor of what changed (orders), is dated (bills) or was deleted from `since` to `until`,
        both included. Raises PlatformError."""
        ...


@dataclass(frozen=True, slots=True)
class SalesSource:
    """How sales are read. order, bill and deletion raise MalformedRecord. longest: the time span of a list at most."""

    open: Callable[[Connection, Wait, "Buckets"], SalesReader]
    longest: timedelta
    order: Callable[[Mapping[str, Any]], SalesDocument]
    bill: Callable[[Mapping[str, Any]], SalesDocument]
    deletion: Callable[[Mapping[str, Any]], Deletion]


@dataclass(frozen=True, slots=True)
class Location:
    """One active place at which a channel keeps stock. name: as people know it; short_id: as settings may write its id,
    empty where that has one form only.
    """

    id: str
    name: str = ""
    short_id: str = ""


@dataclass(frozen=True, slots=True)
class RemoteRecord:
    """One record as the channel holds it now: value by field name (`platforms.field_names`), None where it is
    empty.

    refs: further ids of it that a write needs.
    """

    fields: Mapping[str, str | None]
    refs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """One value to write. name: of the field; before: what the channel was found to hold; after: what it shall hold
    ("" clears it).
    """

    remote_id: str
    name: str
    before: str | None
    after: str
    refs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What became of one value. error None: written. response_ms: how long the call took."""

    remote_id: str
    name: str
    error: PlatformError | None
    response_ms: int


class Writer(Client, Protocol):
    """Reads and writes one kind of record of a channel. One instance a job, used by one thread."""

    @property
    def batch_size(self) -> int:
        """Records that are read, written and checkpointed together."""
        ...

    def currency(self) -> str | None:
        """ISO 4217 code of the currency it sells in, None = it does not say. Raises PlatformError."""
        ...

    def locations(self) -> Sequence[Location]:
        """The active places that keep stock. Raises PlatformError."""
        ...

    def read(self, remote_ids: Sequence[str]) -> dict[str, RemoteRecord]:
        """The records that exist, by id. Raises PlatformError."""
        ...

    def write(self, values: Sequence[FieldWrite], key: Callable[[object], str]) -> Iterable[WriteOutcome]:
        """Write all values; one outcome each, as soon as it is known. `key(content)` gives an idempotency key that a
        repeat of the same batch gives again.

        Raises PlatformError only where nothing can go on; what was yielded before stays done.
        """
        ...


OpenWriter = Callable[[Connection, Wait, "Buckets", OnExchange], Writer]


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform.

    credentials: the names that a connection needs; base_url: the one address of all shops, None where each shop has its
    own, which has the form `address_form`. location_id: the full id of a location as settings name it; raises
    ValueError for text that is no location's id. stock: None where a change of stock counts as one of its product.
    sales: None where none are read.
    """

    name: str
    title: str
    role: Role
    credentials: tuple[str, ...]
    check: Callable[[Connection, Wait], CheckResult]
    pulls: Mapping[Kind, PullSource]
    writers: Mapping[Kind, OpenWriter] = field(default_factory=dict[Kind, OpenWriter])
    base_url: str | None = None
    address_form: str = "https://HOST"
    location_id: Callable[[str], str] = str.strip
    stock: StockSource | None = None
    sales: SalesSource | None = None
