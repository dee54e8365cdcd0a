"""The items of a job as a table: the item, its result, and each changed value before and after."""

import re
from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from jobtrail.tracker import Json


def items_table(items: Iterable[Json]) -> Table:
    """One row an item, with a line for each field that changed or would change; fits 80 columns."""
    table = Table(header_style="bold")
    table.add_column("Item", overflow="fold", ratio=2)
    table.add_column("Result", no_wrap=True)
    table.add_column("Changes", overflow="fold", ratio=3)
    for item in items:
        table.add_row(Text("\n").join(_identity(item)), _result(item), Text("\n").join(_changes(item)))
    return table


def short_id(text: str) -> str:
    """`text` with each of Shopify's ids as its number: `gid://shopify/ProductVariant/81` is 81."""
    return re.sub(r"gid://shopify/\w+/(\d+)", r"\1", text)


def _identity(item: Json) -> Iterator[Text]:
    about = item.get("about") or {}
    if about.get("title"):
        yield Text(about["title"], style="bold")
    yield Text(item["item"], style="dim" if about.get("title") else "")
    if about.get("sku"):
        yield Text(f"SKU {about['sku']}")
    ids: dict[str, str] = item.get("ids") or {}
    for platform, remote in ids.items():
        number = short_id(remote)
        if item["item"] not in (number, remote) and not item["item"].endswith(f"/{number}"):
            yield Text(f"{platform} {number}", style="dim")
    if about.get("linked_by"):
        yield Text(f"linked by {about['linked_by']}", style="dim")


def _result(item: Json) -> Text:
    return Text("HELD", style="bold yellow") if item.get("held") else Text(item["action"])


def _changes(item: Json) -> Iterator[Text]:
    for change in item["changes"]:
        yield Text(f"{short_id(change['name'])}: {_value(change, 'before')} → {_value(change, 'after')}")
    about = item.get("about") or {}
    if about.get("since"):
        yield Text(f"differs since {about['since']}; last write: {about.get('last_write', 'unknown')}")
    if note := about.get("note"):
        yield Text(note)
    if item.get("held"):
        yield Text(f"held: {item['held']}", style="yellow")
    if error := item.get("error"):
        yield Text(f"{error['category']}: {error['message']}", style="red")


def _value(change: Json, when: str) -> str:
    value = change.get(when)
    return "nothing" if value is None else str(value)
