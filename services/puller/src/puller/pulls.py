"""The page loop of every pull.

Ask for a page, read its items, write them with the cursor behind them in one transaction. So a pull that is
killed goes on at the first page that was not written, and its counters are those of the pages that were.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from job_events.database import refresh_statistics
from job_events.errors import JobFailed
from job_events.events import ErrorInfo
from job_events.job_types import PullParams
from job_events.worker.job import Page as JobPage
from job_events.worker.job import RunningJob, params_of
from platforms.accounts import AccountStore
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import CredentialsUnreadable, InvalidCredentials, UnknownAccount
from puller.domain.fields import identifier, mapping
from puller.domain.records import MalformedRecord, ProductRecord, Record
from puller.sources import Client, Opened, Source
from puller.store import catalogue
from puller.store.catalogue import Shelf

OK, NEEDS_AUTHORISATION = "ok", "needs re-authorisation"
# A platform that lists less than half of what it had listed more probably answers wrongly than sells so little.
_GONE_SHARE, _GONE_FLOOR = 0.5, 20
_TOO_LARGE = "tooLarge"


class Position(Struct, omit_defaults=True):
    """A pull's checkpoint.

    next: the platform's cursor of the page to come. began: database time of the first attempt's first page.
    pages: written so far. blind: an item could not even be told by its id. done: the last page is written.
    """

    next: Any = None
    began: datetime | None = None
    pages: int = 0
    blind: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that could not be read. `record_id` is None where not even that could."""

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
        params = params_of(job, PullParams)
        connection = self._connection(job)
        opened = self._source.open(connection, params, job.wait, self._buckets)
        try:
            self._walk(job, params, opened)
        except InvalidCredentials as error:
            self._accounts.mark(connection, NEEDS_AUTHORISATION, error.message)
            raise
        finally:
            opened.client.close()
        self._accounts.mark(connection, OK)
        reason = job.tally.metadata.get(_TOO_LARGE)
        if reason is not None:
            advice = "None was marked as gone. Ask again with confirm if they are."
            raise JobFailed("CHANGE_TOO_LARGE", "CHANGE_TOO_LARGE", f"{reason}. {advice}")

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

    def _walk(self, job: RunningJob, params: PullParams, opened: Opened) -> None:
        position = msgspec.convert(job.cursor or {}, Position)
        spent = _Spent(opened.client)
        job.progress(f"reading {self._source.kind}s")
        try:
            while not position.done:
                answer = opened.page(position.next)
                records, broken = self._read(answer.items, position.pages + 1)
                with job.page() as page:
                    position = Position(
                        next=answer.next,
                        began=position.began or catalogue.database_time(page.connection),
                        pages=position.pages + 1,
                        blind=position.blind or any(b.record_id is None for b in broken),
                        done=answer.next is None,
                    )
                    self._write(job, page, records, broken)
                    if position.done and not position.blind and not params.filters and not params.query:
                        self._mark_gone(job, page, position, params.confirm)
                    if position.done:
                        refresh_statistics(page.connection, *catalogue.TABLES)
                    page.tally.count(pages=1, **spent.since_last())
                    page.tally.total = answer.total
                    _name_selection(page, params)
                    page.cursor = msgspec.to_builtins(position)
        finally:
            job.tally.count(**spent.since_last())  # what a failed page cost

    def _read(self, items: list[Any], page_number: int) -> tuple[list[Record], list[Broken]]:
        records: list[Record] = []
        broken: list[Broken] = []
        for place, item in enumerate(items, start=1):
            try:
                records.append(self._source.read(mapping(item, "item")))
            except MalformedRecord as error:
                record_id = _readable_id(item)
                broken.append(Broken(record_id or f"page {page_number} item {place}", record_id, error))
        return records, broken

    def _write(self, job: RunningJob, page: JobPage, records: list[Record], broken: list[Broken]) -> None:
        known = {b.record_id: b for b in broken if b.record_id is not None}
        written = catalogue.write_page(page.connection, self._shelf(job), job.id, records, known)
        counts = written.counts()
        nameless = [b for b in broken if b.record_id is None]
        failed = [b for record_id, b in known.items() if written.verdicts[record_id] == "failed"]
        for b in (*failed, *nameless):
            page.item(
                b.item,
                "failed",
                {self._source.platform: b.record_id} if b.record_id else None,
                error=ErrorInfo("VALIDATION_FAILED", "MALFORMED_RECORD", str(b.error)[:4096]),
            )
        fresh = {name: counts[name] for name in ("created", "updated", "unchanged")}
        page.tally.count(successful=sum(fresh.values()), failed=len(failed) + len(nameless), **fresh)
        if counts["repeated"]:
            page.tally.count(repeated=counts["repeated"])
        if self._source.kind == "product":
            page.tally.count(**_contents(records, written.verdicts))

    def _mark_gone(self, job: RunningJob, page: JobPage, position: Position, confirmed: bool) -> None:
        assert position.began is not None  # noqa: S101  set with the first page
        shelf = self._shelf(job)
        gone, held = catalogue.missing(page.connection, shelf, position.began)
        before = held - page.tally.metadata["created"]
        if gone > _GONE_FLOOR and gone > _GONE_SHARE * before and not confirmed:
            # In the checkpoint, because the attempt may be killed before it ends with this.
            page.tally.metadata[_TOO_LARGE] = f"{gone} of {before} known {shelf.kind}s are not listed any more"
        else:
            page.tally.count(gone=catalogue.mark_gone(page.connection, shelf, position.began))

    def _shelf(self, job: RunningJob) -> Shelf:
        return Shelf(job.tenant, job.account, self._source.platform, self._source.kind)


class _Spent:
    """What a client has cost since it was last asked; a job's attempts add up in its counters."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests = self._hits = 0

    def since_last(self) -> dict[str, int]:
        requests, hits = self._client.requests, self._client.rate_limit_hits
        spent = {"requests": requests - self._requests, "rateLimitHits": hits - self._hits}
        self._requests, self._hits = requests, hits
        return spent


def _name_selection(page: JobPage, params: PullParams) -> None:
    if params.filters:
        page.tally.metadata["filters"] = params.filters
    if params.query:
        page.tally.metadata["query"] = params.query


def _contents(records: list[Record], verdicts: dict[str, catalogue.Verdict]) -> dict[str, int]:
    """Products and variants of the records that count, by their last form on the page."""
    last = {record.record_id: record for record in records if isinstance(record, ProductRecord)}
    fresh = [record for record_id, record in last.items() if verdicts[record_id] != "repeated"]
    return {
        "products": sum(record.product is not None for record in fresh),
        "variants": sum(len(record.variants) for record in fresh),
    }


def _readable_id(item: Any) -> str | None:
    try:
        return identifier(mapping(item, "item").get("id"), "id")
    except MalformedRecord:
        return None
