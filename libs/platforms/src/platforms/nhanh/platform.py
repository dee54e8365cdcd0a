"""What Nhanh offers: pulls of products, stock, customers and sales. Its client is imported when one is opened."""

import math
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from platforms.adapter import (
    ChangedPages,
    ChosenReader,
    PageIterator,
    Platform,
    PullSource,
    SalesReader,
    SalesSource,
    Selection,
    StockSource,
)
from platforms.connections import Connection
from platforms.errors import ValidationFailed
from platforms.nhanh import records, sales_records
from platforms.results import CheckResult, Wait

if TYPE_CHECKING:
    from platforms.buckets import Buckets


def _open(
    what: Literal["products", "customers"], connection: Connection, selection: Selection, wait: Wait, buckets: "Buckets"
) -> PageIterator:
    from platforms.nhanh.client import MAX_SIZE, NhanhClient

    if selection.query:
        raise ValidationFailed("WRONG_PARAMETER", "Nhanh takes params.filters, not params.query")
    filters = None if selection.filters is None else dict(selection.filters)
    size = min(selection.page_size or MAX_SIZE, MAX_SIZE)
    client = NhanhClient(connection, wait=wait, buckets=buckets)
    page = client.products if what == "products" else client.customers
    return PageIterator(client, lambda next: page(next, filters=filters, size=size), clock=lambda: client.clock)


def _changed(
    what: Literal["products", "inventories", "customers"],
    connection: Connection,
    since: datetime | None,
    wait: Wait,
    buckets: "Buckets",
) -> ChangedPages:
    """`updatedAt` counts in seconds: its second is read as a whole. There is no `updatedAtTo`: with it, a record that
    changes while the list is read would leave the list, and records behind it would move to pages already read."""
    from platforms.nhanh.client import NhanhClient

    filters = {} if since is None else {"updatedAtFrom": math.floor(since.timestamp())}
    client = NhanhClient(connection, wait=wait, buckets=buckets)
    page = {"products": client.products, "inventories": client.inventories, "customers": client.customers}[what]
    pages = PageIterator(client, lambda next: page(next, filters=filters), clock=lambda: client.clock)
    return ChangedPages(pages, {"filters": filters} if filters else {})


def _sales(connection: Connection, wait: Wait, buckets: "Buckets") -> SalesReader:
    from platforms.nhanh.sales_lists import NhanhSales

    return NhanhSales(connection, wait, buckets)


def _chosen_products(connection: Connection, wait: Wait, buckets: "Buckets") -> ChosenReader:
    from platforms.nhanh.client import MAX_SIZE, NhanhClient

    client = NhanhClient(connection, wait=wait, buckets=buckets)
    return ChosenReader(client, MAX_SIZE, client.products_by_ids)


def _check(connection: Connection, wait: Wait) -> CheckResult:
    from platforms.nhanh.client import NhanhClient

    return NhanhClient(connection, wait=wait).check()


PLATFORM: Final = Platform(
    name="nhanh",
    title="Nhanh",
    role="hub",
    credentials=("app_id", "business_id", "access_token"),
    check=_check,
    pulls={
        "product": PullSource(
            partial(_open, "products"), records.product, partial(_changed, "products"), _chosen_products
        ),
        "customer": PullSource(partial(_open, "customers"), records.customer, partial(_changed, "customers")),
    },
    stock=StockSource(partial(_changed, "inventories"), records.stock),
    sales=SalesSource(
        _sales, sales_records.LONGEST_SPAN, sales_records.order, sales_records.bill, sales_records.deletion
    ),
    base_url="https://pos.open.nhanh.vn",
)
