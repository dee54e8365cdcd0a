"""The page loop of every pull.

Request a page, read its items, write them and the next cursor in one transaction. So a pull that is killed resumes at
the first page that was not written, and its counters are those of the written pages.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from job_events.job_params import PullParams
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts, PageIterator, PullSource, Selection
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.results import Page
from puller.completion import Completion, is_endless, settings_of, stopped
from puller.opening import connection_of, in_use
from puller.pages import PageContent, read_page, write_page
from puller.sources import Source
from puller.store import catalogue, marks
from puller.store.catalogue import CatalogueScope
from puller.store.delisted import knows_plan
from puller.windows import OVERLAP, earliest
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of


class PullCursor(Struct, omit_defaults=True):
    """A pull's checkpoint.

    next: the platform's cursor of the next page. began: database time of the first attempt's first page.
    until: what the platform's clock showed, at the most, when that page was asked for; None where an earlier version
    asked for it.
    pages: written so far; idle: how many of the last ones held no new record.
    blind: an item had no readable id. done: the last page is written.
    again: the next page is the last one, read once more because the platform counts more than the `short` records
    that were listed. incomplete: what the platform counts in the end, where that is still more.
    """

    next: Any = None
    began: datetime | None = None
    until: datetime | None = None
    pages: int = 0
    idle: int = 0
    blind: bool = False
    again: bool = False
    short: int | None = None
    incomplete: int | None = None
    done: bool = False


class Pull:
    """A handler: reads everything that one source lists for the job's account."""

    def __init__(self, source: Source, accounts: AccountStore, buckets: Buckets) -> None:
        self._source = source
        self._accounts = accounts
        self._buckets = buckets

    def __call__(self, job: RunningJob) -> None:
        source = self._pull_source()
        params = params_of(job, PullParams)
        connection = connection_of(self._accounts, job, self._source.platform)
        self._check_plan(job, params)
        selection = Selection(params.filters, params.query, params.page_size)
        pages = source.open(connection, selection, job.wait, self._buckets)
        with in_use(self._accounts, connection, pages.client):
            position = self._read_pages(job, params, pages, connection)
        if position.incomplete is not None:
            raise self._incomplete(job, position.incomplete)
        failure = stopped(job.counters)
        if failure is not None:
            raise failure

    def _pull_source(self) -> PullSource:
        if self._source.pull is None:
            reason = f"{self._source.platform} lists no {self._source.kind}s"
            raise JobFailed("VALIDATION_FAILED", "NOT_OFFERED", reason)
        return self._source.pull

    def _check_plan(self, job: RunningJob, params: PullParams) -> None:
        """Refuse a plan token that was not issued for these records, before the first page."""
        if params.confirm is None or job.cursor:
            return
        with job.context.pool.connection() as db:
            if knows_plan(db, self._scope(job), params.confirm):
                return
        raise JobFailed(
            "VALIDATION_FAILED",
            "UNKNOWN_PLAN",
            f"confirm: {params.confirm!r} is no plan of {self._source.platform} {self._source.kind}s of account "
            f"{job.account!r} from the last 14 days; pull without it, and use the planToken of the stopped pull",
        )

    def _read_pages(
        self, job: RunningJob, params: PullParams, pages: PageIterator, connection: Connection
    ) -> PullCursor:
        source, scope = self._pull_source(), self._scope(job)
        position = msgspec.convert(job.cursor or {}, PullCursor)
        asked_at = job.context.clock.now()
        calls = CallCounts(pages.client)
        job.progress(f"reading {self._source.kind}s")
        try:
            while not position.done:
                if is_endless(position.pages, position.idle):
                    raise self._endless(position)
                answer = pages.page(position.next)
                # Counted after the last page: what was added before then is in both numbers.
                counted = pages.count() if answer.next is None else None
                content = read_page(answer.items, position.pages + 1, source.read)
                if position.again:  # the others are counted already
                    named = [b for b in content.unreadable if b.record_id is not None]
                    content = PageContent(content.records, named)
                until = position.until if position.pages else earliest(asked_at, pages.clock())
                with job.checkpoint() as page:
                    met = page.counters.processed
                    write_page(page, scope, job.id, content)
                    position = _next_position(
                        position,
                        answer,
                        began=position.began or catalogue.database_time(page.connection),
                        until=until,
                        counted=answer.total if counted is None else counted,
                        met=page.counters.processed,
                        idle=page.counters.processed == met,
                        blind=content.blind,
                    )
                    if position.done:
                        self._finish(job, params, page, position, connection)
                    page.counters.count(pages=1, **calls.since_last())
                    page.counters.total = answer.total
                    _note_selection(page, params)
                    page.cursor = msgspec.to_builtins(position)
        finally:
            job.counters.count(**calls.since_last())  # what a failed page cost
        return position

    def _finish(
        self, job: RunningJob, params: PullParams, page: Checkpoint, position: PullCursor, connection: Connection
    ) -> None:
        assert position.began is not None  # noqa: S101  set with the first page
        if position.incomplete is None and not params.filters and not params.query:
            settings = settings_of(self._accounts, job.tenant, job.account)
            completion = Completion(self._scope(job), job.id, params.confirm, settings)
            completion.finish(page, position.began, blind=position.blind)
            if position.until is not None:
                for kind in self._source.mark_kinds:
                    scope = marks.mark_scope(connection, kind)
                    marks.advance(page.connection, scope, position.until - OVERLAP, job.id)
        refresh_statistics(page.connection, *catalogue.TABLES)

    def _incomplete(self, job: RunningJob, counted: int) -> JobFailed:
        kind = self._source.kind
        return JobFailed(
            "PLATFORM_ERROR",
            "INCOMPLETE",
            f"{self._source.platform} counts {counted} {kind}s but listed only {job.counters.processed}. What it "
            f"listed is stored, and nothing was marked as delisted. Pull again.",
        )

    def _endless(self, position: PullCursor) -> JobFailed:
        return JobFailed(
            "PLATFORM_ERROR",
            "ENDLESS_LIST",
            f"{self._source.platform} announces further pages of {self._source.kind}s, but the last {position.idle} of "
            f"{position.pages} held no new one. What it listed is stored, and nothing was marked as delisted.",
        )

    def _scope(self, job: RunningJob) -> CatalogueScope:
        return CatalogueScope(job.tenant, job.account, self._source.platform, self._source.kind)


def _next_position(
    position: PullCursor,
    answer: Page,
    *,
    began: datetime,
    until: datetime | None,
    counted: int | None,
    met: int,
    idle: bool,
    blind: bool,
) -> PullCursor:
    """The checkpoint after the page `answer`.

    met: records listed so far; counted: how many the platform says there are. The last page of a shorter list is read
    once more: records may have been added between that page and the count.
    """
    short = answer.next is None and counted is not None and met < counted
    again = short and (position.short is None or met > position.short)
    return PullCursor(
        next=position.next if again else answer.next,
        began=began,
        until=until,
        pages=position.pages + 1,
        idle=position.idle + 1 if idle else 0,
        blind=position.blind or blind,
        again=again,
        short=met if again else position.short,
        incomplete=counted if short and not again else None,
        done=answer.next is None and not again,
    )


def _note_selection(page: Checkpoint, params: PullParams) -> None:
    if params.filters:
        page.counters.metadata["filters"] = params.filters
    if params.query:
        page.counters.metadata["query"] = params.query
