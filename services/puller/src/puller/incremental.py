"""INCREMENTAL_PULL: reads what changed since the last pull. `puller.windows` says why no change is lost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from job_events.events import ErrorInfo
from job_events.job_params import IncrementalPullParams
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts, ChangedPages, Kind, OpenChanged, Platform
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.records import StockRecord
from platforms.registry import platforms
from puller.completion import is_endless
from puller.opening import connection_of, in_use
from puller.pages import read_items, read_page, write_page
from puller.store import catalogue, marks
from puller.store.catalogue import CatalogueScope
from puller.store.marks import MarkKind, mark_scope
from puller.store.stock import write_stock
from puller.windows import OVERLAP, earliest
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of

_KINDS: Final[dict[MarkKind, Kind]] = {"products": "product", "customers": "customer"}

StorePage = Callable[[Checkpoint, CatalogueScope, str, list[Any], int], None]
"""(checkpoint, scope, job id, items, number of the page): reads the items and writes them."""


class WindowCursor(Struct, omit_defaults=True):
    """An incremental pull's checkpoint.

    since, until: the window, fixed with the first page; since None = everything. next: the platform's cursor.
    pages: written so far; idle: how many of the last ones held no new record. done: the last page is written.
    incomplete: how many records the platform counts, where it listed fewer.
    """

    since: datetime | None = None
    until: datetime | None = None
    next: Any = None
    pages: int = 0
    idle: int = 0
    incomplete: int | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class ChangedSource:
    """What an incremental pull of one kind reads, and how its pages are stored."""

    open: OpenChanged
    kind: Kind
    store: StorePage


class IncrementalPull:
    """A handler: reads what changed in one list of one platform."""

    def __init__(self, accounts: AccountStore, buckets: Buckets) -> None:
        self._accounts = accounts
        self._buckets = buckets

    def __call__(self, job: RunningJob) -> None:
        params = params_of(job, IncrementalPullParams)
        source = changed_source(params)
        connection = connection_of(self._accounts, job, params.platform)
        scope = CatalogueScope(job.tenant, job.account, params.platform, source.kind)
        position = msgspec.convert(job.cursor or {}, WindowCursor)
        if not position.pages:
            with job.context.pool.connection() as db:
                position.since = marks.mark(db, mark_scope(connection, params.kind))
        changes = source.open(connection, position.since, job.wait, self._buckets)
        with in_use(self._accounts, connection, changes.pages.client):
            position = self._read_pages(job, params, source, changes, position, connection, scope)
        if position.incomplete is not None:
            raise _incomplete(job, params, position.incomplete)

    def _read_pages(
        self,
        job: RunningJob,
        params: IncrementalPullParams,
        source: ChangedSource,
        changes: ChangedPages,
        position: WindowCursor,
        connection: Connection,
        scope: CatalogueScope,
    ) -> WindowCursor:
        calls = CallCounts(changes.pages.client)
        asked_at = job.context.clock.now()
        job.progress(f"reading changed {params.kind}")
        try:
            while not position.done:
                if is_endless(position.pages, position.idle):
                    raise _endless(params, position)
                answer = changes.pages.page(position.next)
                until = position.until or earliest(asked_at, changes.pages.clock())
                settled = changes.settled(until - OVERLAP) if answer.next is None else None
                with job.checkpoint() as page:
                    met = page.counters.processed
                    source.store(page, scope, job.id, answer.items, position.pages + 1)
                    processed = page.counters.processed
                    short = settled is not None and processed < settled
                    position = WindowCursor(
                        since=position.since,
                        until=until,
                        next=answer.next,
                        pages=position.pages + 1,
                        idle=position.idle + 1 if processed == met else 0,
                        incomplete=settled if short else None,
                        done=answer.next is None,
                    )
                    if position.done and not short:
                        marks.advance(page.connection, mark_scope(connection, params.kind), until - OVERLAP, job.id)
                    if position.done and position.since is None:
                        refresh_statistics(page.connection, *catalogue.TABLES)
                    page.counters.count(pages=1, **calls.since_last())
                    page.counters.total = answer.total
                    page.counters.metadata.update({**changes.asked, **_window(position), **_full_pull(page, scope)})
                    page.cursor = msgspec.to_builtins(position)
        finally:
            job.counters.count(**calls.since_last())  # what a failed page cost
        return position


def changed_source(params: IncrementalPullParams) -> ChangedSource:
    """What the job reads. Raises JobFailed for what the platform does not offer."""
    platform = platforms().get(params.platform)
    if platform is None:
        known = ", ".join(platforms())
        reason = f"platform: unknown platform {params.platform!r}; known are {known}"
        raise JobFailed("VALIDATION_FAILED", "UNKNOWN_PLATFORM", reason)
    if params.kind == "stock":
        return _stock_source(platform)
    kind = _KINDS[params.kind]
    pull = platform.pulls.get(kind)
    if pull is None or pull.changed is None:
        lists = f"lists no {params.kind}" if pull is None else f"does not tell which {params.kind} changed"
        raise JobFailed("VALIDATION_FAILED", "NOT_OFFERED", f"{platform.name} {lists}")
    read = pull.read

    def store(page: Checkpoint, scope: CatalogueScope, job_id: str, items: list[Any], number: int) -> None:
        write_page(page, scope, job_id, read_page(items, number, read))

    return ChangedSource(pull.changed, kind, store)


def _stock_source(platform: Platform) -> ChangedSource:
    source = platform.stock
    if source is None:
        reason = (
            f"{platform.name} does not list changes of stock apart from those of products: "
            f"use kind products, which reads the stock of what changed"
        )
        raise JobFailed("VALIDATION_FAILED", "NOT_OFFERED", reason)
    read = source.read

    def store(page: Checkpoint, scope: CatalogueScope, _job_id: str, items: list[Any], number: int) -> None:
        _store_stock(page, scope, items, number, read)

    return ChangedSource(source.changed, "product", store)


def _store_stock(
    page: Checkpoint,
    scope: CatalogueScope,
    items: list[Any],
    number: int,
    read: Callable[[Mapping[str, Any]], StockRecord],
) -> None:
    records = read_items(page, items, f"page {number}", read)
    verdicts = write_stock(page.connection, scope, records)
    for variant_id, verdict in verdicts.items():
        if verdict == "unknown":
            reason = "the catalogue does not list it yet: pull products, which read its stock too"
            page.item(
                variant_id,
                "skipped",
                {scope.platform: variant_id},
                error=ErrorInfo("NOT_FOUND", "UNKNOWN_VARIANT", reason),
            )
    counts = {name: sum(verdict == name for verdict in verdicts.values()) for name in ("updated", "unchanged")}
    page.counters.count(
        successful=sum(counts.values()), skipped=len(verdicts) - sum(counts.values()), created=0, **counts
    )


def _window(position: WindowCursor) -> dict[str, str | None]:
    return {
        "changedSince": position.since.isoformat() if position.since else None,
        "changedUntil": position.until.isoformat() if position.until else None,
    }


def _full_pull(page: Checkpoint, scope: CatalogueScope) -> dict[str, str | None]:
    """How old the last full pull is, which is what the catalogue knows of deletions."""
    found = marks.last_complete_pull(page.connection, scope)
    ended, began = found or (None, None)
    return {
        "lastFullPull": ended.isoformat() if ended else None,
        "deletionsSeenUntil": began.isoformat() if began else None,
    }


def _incomplete(job: RunningJob, params: IncrementalPullParams, counted: int) -> JobFailed:
    return JobFailed(
        "PLATFORM_ERROR",
        "INCOMPLETE",
        f"{params.platform} counts {counted} changed {params.kind} but listed only {job.counters.processed}. What it "
        f"listed is stored; the next pull asks for the same changes again.",
    )


def _endless(params: IncrementalPullParams, position: WindowCursor) -> JobFailed:
    return JobFailed(
        "PLATFORM_ERROR",
        "ENDLESS_LIST",
        f"{params.platform} announces further pages of changed {params.kind}, but the last {position.idle} of "
        f"{position.pages} held no new one. What it listed is stored; the next pull asks for the same changes again.",
    )
