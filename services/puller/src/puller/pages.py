"""One page of a list: its items are read as records, and written to the catalogue with their counts and failures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from job_events.events import ErrorInfo
from platforms.errors import MalformedRecord
from platforms.json_fields import identifier, mapping
from platforms.records import ProductRecord, Record
from puller.store import catalogue
from puller.store.catalogue import CatalogueScope
from worker.job import Checkpoint

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class UnreadableItem:
    """An item that could not be read. `record_id` is None where its id could not be read either."""

    item: str
    record_id: str | None
    error: MalformedRecord


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page holds."""

    records: list[Record]
    unreadable: list[UnreadableItem]

    @property
    def blind(self) -> bool:
        """Whether an item had no readable id."""
        return any(b.record_id is None for b in self.unreadable)


def read_items(
    page: Checkpoint, items: Sequence[Any], where: str, read: Callable[[Mapping[str, Any]], _Read]
) -> list[_Read]:
    """The items that can be read. Each other one counts as failed and is recorded as such, by its place in `where`."""
    found: list[_Read] = []
    for place, item in enumerate(items, start=1):
        try:
            found.append(read(mapping(item, "item")))
        except MalformedRecord as error:
            page.item(f"{where} item {place}", "failed", error=_malformed(error))
            page.counters.count(failed=1)
    return found


def read_page(items: list[Any], page_number: int, read: Callable[[Mapping[str, Any]], Record]) -> PageContent:
    """Read the items of page `page_number` (counted from 1), which names the items without a readable id."""
    content = PageContent([], [])
    for place, item in enumerate(items, start=1):
        try:
            content.records.append(read(mapping(item, "item")))
        except MalformedRecord as error:
            record_id = _record_id(item)
            name = record_id or f"page {page_number} item {place}"
            content.unreadable.append(UnreadableItem(name, record_id, error))
    return content


def write_page(page: Checkpoint, scope: CatalogueScope, job_id: str, content: PageContent) -> None:
    """Write the content in the checkpoint's transaction; count it, and record an item for each failure."""
    known = {b.record_id: b for b in content.unreadable if b.record_id is not None}
    written = catalogue.write_page(page.connection, scope, job_id, content.records, known)
    counts = written.counts()
    without_id = [b for b in content.unreadable if b.record_id is None]
    failed = [b for record_id, b in known.items() if written.verdicts[record_id] == "failed"]
    for b in (*failed, *without_id):
        page.item(
            b.item,
            "failed",
            {scope.platform: b.record_id} if b.record_id else None,
            error=_malformed(b.error),
        )
    fresh = {name: counts[name] for name in ("created", "updated", "unchanged")}
    page.counters.count(successful=sum(fresh.values()), failed=len(failed) + len(without_id), **fresh)
    if counts["repeated"]:
        page.counters.count(repeated=counts["repeated"])
    if scope.kind == "product":
        page.counters.count(**_contents(content.records, written.verdicts))


def _contents(records: list[Record], verdicts: dict[str, catalogue.Verdict]) -> dict[str, int]:
    """Products and variants of the records that were not counted before, by their last form on the page."""
    last = {record.record_id: record for record in records if isinstance(record, ProductRecord)}
    fresh = [record for record_id, record in last.items() if verdicts[record_id] != "repeated"]
    return {
        "products": sum(record.product is not None for record in fresh),
        "variants": sum(len(record.variants) for record in fresh),
    }


def _malformed(error: MalformedRecord) -> ErrorInfo:
    return ErrorInfo("VALIDATION_FAILED", "MALFORMED_RECORD", str(error)[:4096])


def _record_id(item: Any) -> str | None:
    try:
        return identifier(mapping(item, "item").get("id"), "id")
    except MalformedRecord:
        return None
