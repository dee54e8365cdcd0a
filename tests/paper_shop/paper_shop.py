"""A JSON file as a shop: the smallest platform that can be pulled and synced, registered from outside the repository.

Its file: {"currency": "VND", "products": [{"id", "title", "sku", "price", "stock": {LOCATION: QUANTITY}}]}.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from platforms.adapter import (
    FieldWrite,
    Location,
    PageIterator,
    Platform,
    PullSource,
    RemoteRecord,
    Selection,
    WriteOutcome,
)
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import NotFound, PlatformError, Unavailable
from platforms.field_names import PRICE, location_of, stock_at
from platforms.json_fields import identifier, key_text, mapping, number, price, required_text
from platforms.records import Product, ProductRecord, Stock, Variant
from platforms.results import CheckResult, Exchange, OnExchange, Page, Wait

PAGE = 2
CURRENCY = "VND"


class PaperClient:
    """Reads and writes one file."""

    rate_limit_hits = 0

    def __init__(self, connection: Connection) -> None:
        self.requests = 0
        self._path = Path(connection.credentials["file"])

    def load(self) -> dict[str, Any]:
        self.requests += 1
        try:
            return json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Unavailable("NO_FILE", f"{self._path.name}: {error}") from None

    def store(self, content: Mapping[str, Any]) -> None:
        self.requests += 1
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(content), "utf-8")
        os.replace(new, self._path)

    def page(self, after: Any | None, size: int) -> Page:
        products, end = self.load()["products"], (after or 0) + size
        return Page(products[end - size : end], end if end < len(products) else None, len(products))

    def close(self) -> None:
        """Nothing stays open."""


class PaperWriter(PaperClient):
    """Prices and stock of the products in the file."""

    batch_size = 10

    def __init__(self, connection: Connection, wait: Wait, buckets: Buckets, on_exchange: OnExchange) -> None:
        super().__init__(connection)
        self._on_exchange = on_exchange

    def currency(self) -> str | None:
        return self.load()["currency"]

    def locations(self) -> Sequence[Location]:
        return [Location(one) for one in sorted({place for item in self.load()["products"] for place in item["stock"]})]

    def read(self, remote_ids: Sequence[str]) -> dict[str, RemoteRecord]:
        return {item["id"]: RemoteRecord(_fields(item)) for item in self.load()["products"] if item["id"] in remote_ids}

    def write(self, values: Sequence[FieldWrite], key: Callable[[object], str]) -> Iterable[WriteOutcome]:
        for value in values:
            started = time.perf_counter()
            error = self._put(value)
            took = (time.perf_counter() - started) * 1000
            self._on_exchange(Exchange("PUT", f"file:{value.remote_id}", value.after, None, "", took))
            yield WriteOutcome(value.remote_id, value.name, error, round(took))

    def _put(self, value: FieldWrite) -> PlatformError | None:
        content = self.load()
        item = next((one for one in content["products"] if one["id"] == value.remote_id), None)
        if item is None:
            return NotFound("NO_PRODUCT", f"there is no product {value.remote_id}")
        location = location_of(value.name)
        if location is None:
            item[value.name] = value.after
        else:
            item["stock"][location] = int(value.after)
        self.store(content)
        return None


def product(item: Mapping[str, Any]) -> ProductRecord:
    """One product of the file, which is its own only variant."""
    product_id = identifier(item.get("id"), "id")
    stock = mapping(item.get("stock"), "stock")
    places = tuple(Stock(place, number(stock[place], f"stock.{place}")) for place in stock)
    known = [place.available for place in places if place.available is not None]
    variant = Variant(
        variant_id=product_id,
        product_id=product_id,
        sku=key_text(item.get("sku"), "sku"),
        price=price(item.get("price"), "price"),
        currency=CURRENCY,
        stock=sum(known[1:], known[0]) if known else None,
        places=places,
    )
    own = Product(product_id=product_id, title=required_text(item.get("title"), "title"))
    return ProductRecord(record_id=product_id, product=own, variants=(variant,))


def _fields(item: Mapping[str, Any]) -> dict[str, str | None]:
    return {PRICE: item["price"], **{stock_at(place): str(count) for place, count in item["stock"].items()}}


def _open(connection: Connection, selection: Selection, wait: Wait, buckets: Buckets) -> PageIterator:
    client = PaperClient(connection)
    size = min(selection.page_size or PAGE, PAGE)
    return PageIterator(client, lambda after: client.page(after, size), lambda: len(client.load()["products"]))


def _check(connection: Connection, wait: Wait) -> CheckResult:
    try:
        return CheckResult(True, f"the file holds {len(PaperClient(connection).load()['products'])} products")
    except PlatformError as error:
        return CheckResult(False, error.message, error)


PLATFORM = Platform(
    name="paper-shop",
    title="Paper shop",
    role="channel",
    credentials=("file",),
    check=_check,
    pulls={"product": PullSource(_open, product)},
    writers={"product": PaperWriter},
    base_url="http://paper-shop.invalid",
)
