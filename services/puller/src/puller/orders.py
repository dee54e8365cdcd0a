"""PULL_NHANH_ORDERS: reads orders, retail bills, and what was deleted of both, list after list, span after span.

Orders are listed by their time of change and deletions by theirs, so their marks work as `puller.windows` says. Bills
have a date and no time of change: BILL_OVERLAP before their mark is read again, and what is known is unchanged. These
lists need an upper bound, because a span has a longest length. It lies OVERLAP ahead of our clock, for a platform whose
clock is ahead. An order that changes while its span is read leaves it for a later one, or for the next pull; no other
order is lost with it, because a cursor of these lists holds the last id.

An order's bill is stored with the order's id and is no sale of its own (view api_orders).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from job_events.job_params import PullOrdersParams
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts, SalesReader, SalesSource
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.registry import platforms
from platforms.results import Page
from platforms.sales import Deletion, SalesDocument, SalesKind, SalesList
from puller.completion import is_endless
from puller.opening import connection_of, in_use
from puller.pages import read_items
from puller.store import marks
from puller.store.marks import mark_scope
from puller.store.sales import SalesScope, mark_deleted, oldest_change, write_sales
from puller.windows import OVERLAP, earliest, spans
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of

BILL_OVERLAP: Final = timedelta(days=30)
"""A bill may be entered or corrected so long after its date. Nhanh lists bills by their dates alone."""
FIRST_SPAN: Final = timedelta(days=30)
"""What a first pull reads. Earlier sales are read by a time span in the parameters."""

_LISTS: Final[dict[SalesList, SalesKind]] = {
    "orders": "order",
    "bills": "bill",
    "deleted_orders": "order",
    "deleted_bills": "bill",
}
_Read = TypeVar("_Read", SalesDocument, Deletion)


class SalesCursor(Struct, omit_defaults=True):
    """The checkpoint. since: by list, where it begins; until: where all of them end; both fixed with the first page.

    mark: where the marks move to, None where a time span was asked for. part: which span of which list is being read;
    next: the platform's cursor in it. pages, idle: read of that part, and how many of its last ones held nothing new.
    """

    since: dict[SalesList, datetime] = {}
    until: datetime | None = None
    mark: datetime | None = None
    part: int = 0
    next: Any = None
    pages: int = 0
    idle: int = 0


class PullOrders:
    """A handler: reads the sales of the job's account."""

    def __init__(self, platform: str, accounts: AccountStore, buckets: Buckets) -> None:
        self._platform = platform
        self._accounts = accounts
        self._buckets = buckets

    def __call__(self, job: RunningJob) -> None:
        params = params_of(job, PullOrdersParams)
        source = self._source()
        connection = connection_of(self._accounts, job, self._platform)
        position = msgspec.convert(job.cursor or {}, SalesCursor)
        asked_at = job.context.clock.now()
        if position.until is None:
            position = self._begin(job, params, connection, asked_at)
        reader = source.open(connection, job.wait, self._buckets)
        with in_use(self._accounts, connection, reader.client):
            self._read_parts(job, source, reader, connection, position, moves=not _has_span(params), asked_at=asked_at)

    def _source(self) -> SalesSource:
        sales = platforms()[self._platform].sales
        if sales is None:
            raise JobFailed("VALIDATION_FAILED", "NOT_OFFERED", f"{self._platform} lists no orders")
        return sales

    def _begin(
        self, job: RunningJob, params: PullOrdersParams, connection: Connection, asked_at: datetime
    ) -> SalesCursor:
        until = params.updated_to or asked_at + OVERLAP
        since: dict[SalesList, datetime] = {}
        with job.context.pool.connection() as db:
            for what in _LISTS:
                mark = marks.mark(db, mark_scope(connection, what))
                if mark is not None and what == "bills":
                    mark -= BILL_OVERLAP
                begin = until - FIRST_SPAN
                if mark is None and what.startswith("deleted_"):
                    # What a time span has read before may have been deleted since.
                    begin = min(begin, oldest_change(db, self._scope(job, what)) or begin)
                since[what] = params.updated_from or mark or begin
        if params.updated_from and params.updated_from > until:
            reason = f"updated_from: {params.updated_from.isoformat()} lies behind the end, {until.isoformat()}"
            raise JobFailed("VALIDATION_FAILED", "WRONG_PARAMETER", reason)
        return SalesCursor(since={what: min(begin, until) for what, begin in since.items()}, until=until)

    def _scope(self, job: RunningJob, what: SalesList) -> SalesScope:
        return SalesScope(job.tenant, job.account, self._platform, _LISTS[what])

    def _read_parts(
        self,
        job: RunningJob,
        source: SalesSource,
        reader: SalesReader,
        connection: Connection,
        position: SalesCursor,
        *,
        moves: bool,
        asked_at: datetime,
    ) -> None:
        until = position.until
        assert until is not None  # noqa: S101  set by `_begin`
        parts: list[tuple[SalesList, datetime, datetime]] = [
            (what, begin, end) for what in _LISTS for begin, end in spans(position.since[what], until, source.longest)
        ]
        calls = CallCounts(reader.client)
        try:
            while position.part < len(parts):
                what, begin, end = parts[position.part]
                job.progress(f"reading {what.replace('_', ' ')} from {begin.date()} to {end.date()}")
                if is_endless(position.pages, position.idle):
                    raise self._endless(what, position)
                answer = reader.page(what, begin, end, position.next)
                if moves and position.mark is None:
                    position.mark = earliest(asked_at, reader.clock()) - OVERLAP
                last_of_list = answer.next is None and what not in {part[0] for part in parts[position.part + 1 :]}
                with job.checkpoint() as page:
                    met = page.counters.processed
                    self._store(job, page, source, what, answer)
                    if last_of_list and position.mark is not None:
                        marks.advance(page.connection, mark_scope(connection, what), position.mark, job.id)
                    ended = answer.next is None
                    position = msgspec.structs.replace(
                        position,
                        part=position.part + ended,
                        next=answer.next,
                        pages=0 if ended else position.pages + 1,
                        idle=0 if ended or page.counters.processed > met else position.idle + 1,
                    )
                    page.counters.count(pages=1, windows=int(ended), **calls.since_last())
                    page.counters.metadata.update(
                        changedSince=min(position.since.values()).isoformat(), changedUntil=until.isoformat()
                    )
                    page.cursor = msgspec.to_builtins(position)
        finally:
            job.counters.count(**calls.since_last())  # what a failed page cost

    def _store(self, job: RunningJob, page: Checkpoint, source: SalesSource, what: SalesList, answer: Page) -> None:
        kind = _LISTS[what]
        scope = self._scope(job, what)
        if what in {"deleted_orders", "deleted_bills"}:
            deletions = self._read(page, what, answer, source.deletion)
            deleted = mark_deleted(page.connection, scope, deletions)
            page.counters.count(successful=len(deletions), deleted=deleted)
            return
        documents = self._read(page, what, answer, source.order if kind == "order" else source.bill)
        verdicts = list(write_sales(page.connection, scope, job.id, documents).values())
        counts = {name: verdicts.count(name) for name in ("created", "updated", "unchanged")}
        fresh = sum(counts.values())
        page.counters.count(successful=fresh, **counts, **{f"{kind}s": fresh})
        if len(verdicts) > fresh:
            page.counters.count(repeated=len(verdicts) - fresh)

    def _read(
        self, page: Checkpoint, what: SalesList, answer: Page, read: Callable[[Mapping[str, Any]], _Read]
    ) -> list[_Read]:
        number = page.counters.metadata.get("pages", 0) + 1
        return read_items(page, answer.items, f"{what} page {number}", read)

    def _endless(self, what: SalesList, position: SalesCursor) -> JobFailed:
        return JobFailed(
            "PLATFORM_ERROR",
            "ENDLESS_LIST",
            f"{self._platform} announces further pages of {what.replace('_', ' ')}, but the last {position.idle} of "
            f"{position.pages} held nothing new. What it listed is stored.",
        )


def _has_span(params: PullOrdersParams) -> bool:
    return params.updated_from is not None or params.updated_to is not None
