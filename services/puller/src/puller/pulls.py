"""The page loop of every pull.

Request a page, read its items, write them and the next cursor in one transaction. So a pull that is killed resumes at
the first page that was not written, and its counters are those of the written pages.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from job_events.events import ErrorInfo
from job_events.job_params import PullParams
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts, PageIterator, PullSource, Selection
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import CredentialsUnreadable, InvalidCredentials, MalformedRecord, UnknownAccount
from platforms.json_fields import identifier, mapping
from platforms.records import ProductRecord, Record
from platforms.results import Page
from puller.completion import Completion, is_endless, settings_of, stopped
from puller.sources import Source
from puller.store import catalogue
from puller.store.catalogue import CatalogueScope
from puller.store.delisted import knows_plan
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of

OK, NEEDS_AUTHORISATION = "ok", "needs re-authorisation"


class PullCursor(Struct, omit_defaults=True):
    """A pull's checkpoint.

    next: the platform's cursor of the next page. began: database time of the first attempt's first page.
    pages: written so far; idle: how many of the last ones held no new record.
    blind: an item had no readable id. done: the last page is written.
    again: the next page is the last one, read once more because the platform counts more than the `short` records
    that were listed. incomplete: what the platform counts in the end, where that is still more.
    """

    next: Any = None
    began: datetime | None = None
    pages: int = 0
    idle: int = 0
    blind: bool = False
    again: bool = False
    short: int | None = None
    incomplete: int | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class UnreadableItem:
    """An item that could not be read. `record_id` is None where its id could not be read either."""

    item: str
    record_id: str | None
    error: MalformedRecord


class Pull:
    """A handler: reads everything that one source lists for the job's account."""

    def __init__(self, source: Source, accounts: AccountStore, buckets: Buckets) -> None:
        self._source = source
        self._accounts = accounts
        self._buckets = buckets

    def __call__(self, job: RunningJob) -> None:
        source = self._pull_source()
        params = params_of(job, PullParams)
        connection = self._connection(job)
        self._check_plan(job, params)
        selection = Selection(params.filters, params.query, params.page_size)
        pages = source.open(connection, selection, job.wait, self._buckets)
        try:
            position = self._read_pages(job, params, pages)
        except InvalidCredentials as error:
            self._accounts.mark(connection, NEEDS_AUTHORISATION, error.message)
            raise
        finally:
            pages.client.close()
        self._accounts.mark(connection, OK)
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

    def _connection(self, job: RunningJob) -> Connection:
        platform = self._source.platform
        try:
            return self._accounts.connection(job.tenant, job.account, platform)
        except UnknownAccount:
            raise JobFailed(
                "VALIDATION_FAILED",
                "NO_CONNECTION",
                f"account {job.account!r} has no connection to {platform}; "
                f"add one with `jobtrail accounts add {job.account} {platform} --tenant {job.tenant}`",
            ) from None
        except CredentialsUnreadable as error:
            raise JobFailed("INVALID_CREDENTIALS", "CREDENTIALS_UNREADABLE", str(error)) from None

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

    def _read_pages(self, job: RunningJob, params: PullParams, pages: PageIterator) -> PullCursor:
        position = msgspec.convert(job.cursor or {}, PullCursor)
        calls = CallCounts(pages.client)
        job.progress(f"reading {self._source.kind}s")
        try:
            while not position.done:
                if is_endless(position.pages, position.idle):
                    raise self._endless(position)
                answer = pages.page(position.next)
                # Counted after the last page: what was added before then is in both numbers.
                counted = pages.count() if answer.next is None else None
                records, unreadable = self._read(answer.items, position.pages + 1)
                if position.again:
                    unreadable = [b for b in unreadable if b.record_id is not None]  # the others are counted already
                with job.checkpoint() as page:
                    met = page.counters.processed
                    self._write(job, page, records, unreadable)
                    position = _next_position(
                        position,
                        answer,
                        began=position.began or catalogue.database_time(page.connection),
                        counted=answer.total if counted is None else counted,
                        met=page.counters.processed,
                        idle=page.counters.processed == met,
                        blind=any(b.record_id is None for b in unreadable),
                    )
                    if position.done:
                        self._finish(job, params, page, position)
                    page.counters.count(pages=1, **calls.since_last())
                    page.counters.total = answer.total
                    _note_selection(page, params)
                    page.cursor = msgspec.to_builtins(position)
        finally:
            job.counters.count(**calls.since_last())  # what a failed page cost
        return position

    def _finish(self, job: RunningJob, params: PullParams, page: Checkpoint, position: PullCursor) -> None:
        assert position.began is not None  # noqa: S101  set with the first page
        if position.incomplete is None and not params.filters and not params.query:
            settings = settings_of(self._accounts, job.tenant, job.account)
            completion = Completion(self._scope(job), job.id, params.confirm, settings)
            completion.finish(page, position.began, blind=position.blind)
        refresh_statistics(page.connection, *catalogue.TABLES)

    def _read(self, items: list[Any], page_number: int) -> tuple[list[Record], list[UnreadableItem]]:
        records: list[Record] = []
        unreadable: list[UnreadableItem] = []
        read = self._pull_source().read
        for place, item in enumerate(items, start=1):
            try:
                records.append(read(mapping(item, "item")))
            except MalformedRecord as error:
                record_id = _record_id(item)
                unreadable.append(UnreadableItem(record_id or f"page {page_number} item {place}", record_id, error))
        return records, unreadable

    def _write(
        self, job: RunningJob, page: Checkpoint, records: list[Record], unreadable: list[UnreadableItem]
    ) -> None:
        known = {b.record_id: b for b in unreadable if b.record_id is not None}
        written = catalogue.write_page(page.connection, self._scope(job), job.id, records, known)
        counts = written.counts()
        without_id = [b for b in unreadable if b.record_id is None]
        failed = [b for record_id, b in known.items() if written.verdicts[record_id] == "failed"]
        for b in (*failed, *without_id):
            page.item(
                b.item,
                "failed",
                {self._source.platform: b.record_id} if b.record_id else None,
                error=ErrorInfo("VALIDATION_FAILED", "MALFORMED_RECORD", str(b.error)[:4096]),
            )
        fresh = {name: counts[name] for name in ("created", "updated", "unchanged")}
        page.counters.count(successful=sum(fresh.values()), failed=len(failed) + len(without_id), **fresh)
        if counts["repeated"]:
            page.counters.count(repeated=counts["repeated"])
        if self._source.kind == "product":
            page.counters.count(**_contents(records, written.verdicts))

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
    position: PullCursor, answer: Page, *, began: datetime, counted: int | None, met: int, idle: bool, blind: bool
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


def _contents(records: list[Record], verdicts: dict[str, catalogue.Verdict]) -> dict[str, int]:
    """Products and variants of the records that were not counted before, by their last form on the page."""
    last = {record.record_id: record for record in records if isinstance(record, ProductRecord)}
    fresh = [record for record_id, record in last.items() if verdicts[record_id] != "repeated"]
    return {
        "products": sum(record.product is not None for record in fresh),
        "variants": sum(len(record.variants) for record in fresh),
    }


def _record_id(item: Any) -> str | None:
    try:
        return identifier(mapping(item, "item").get("id"), "id")
    except MalformedRecord:
        return None
