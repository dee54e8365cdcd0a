"""What Shopify offers: pulls and writes of products and customers. Its client is imported when one is opened."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from platforms.adapter import ChangedPages, PageIterator, Platform, PullSource, Selection, Writer
from platforms.connections import Connection
from platforms.errors import ValidationFailed
from platforms.results import CheckResult, OnExchange, Wait
from platforms.shopify import records

if TYPE_CHECKING:
    from platforms.buckets import Buckets

_PAGE_SIZES = {"products": 25, "customers": 100}
_WESTERNMOST: Final = timedelta(hours=12)
"""No time zone is further behind UTC."""
_LOCATION: Final = "gid://shopify/Location/"
_LOCATION_ID: Final = re.compile(rf"(?:{_LOCATION})?(\d+)")


def location_id(text: str) -> str:
    """A location's full id; settings may name it by its number alone. Raises ValueError for anything else."""
    found = _LOCATION_ID.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no location id")
    return _LOCATION + found[1]


def _open(
    what: Literal["products", "customers"], connection: Connection, selection: Selection, wait: Wait, buckets: "Buckets"
) -> PageIterator:
    from platforms.shopify.client import ShopifyClient

    if selection.filters:
        raise ValidationFailed("WRONG_PARAMETER", "Shopify takes params.query, not params.filters")
    query, size = selection.query, selection.page_size or _PAGE_SIZES[what]
    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    page, count = (
        (client.products, client.count_products) if what == "products" else (client.customers, client.count_customers)
    )
    return PageIterator(
        client, lambda next: page(next, query=query, size=size), lambda: count(query), lambda: client.clock
    )


def _changed(
    what: Literal["products", "customers"],
    connection: Connection,
    since: datetime | None,
    wait: Wait,
    buckets: "Buckets",
) -> ChangedPages:
    """The walk goes by id, not by time of change: a record keeps its place in it while it changes, and behind
    WALK_LIMIT records the next walk begins behind the last id, so that Shopify's 25,000 are no limit. There is no upper
    bound, so that nothing leaves the list while it is read."""
    from platforms.shopify.client import ShopifyClient

    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    page, count, written = (
        (client.products, client.count_products, _moment)
        if what == "products"
        else (client.customers, client.count_customers, _day)
    )
    query = None if since is None else f"updated_at:>='{written(since)}'"

    def settled(before: datetime) -> int | None:
        earlier = f"updated_at:<'{written(before)}'"
        return count(earlier if query is None else f"{query} AND {earlier}")

    size = _PAGE_SIZES[what]
    pages = PageIterator(client, lambda next: page(next, query=query, size=size), clock=lambda: client.clock)
    return ChangedPages(pages, {"query": query} if query else {}, settled)


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(time: datetime) -> str:
    """The day that customers are searched by, in the shop's time zone: the earliest that `time` has in any zone."""
    return (time.astimezone(UTC) - _WESTERNMOST).date().isoformat()


def _product_writer(connection: Connection, wait: Wait, buckets: "Buckets", on_exchange: OnExchange) -> Writer:
    from platforms.shopify.writers import ProductWriter

    return ProductWriter(connection, wait, buckets, on_exchange)


def _customer_writer(connection: Connection, wait: Wait, buckets: "Buckets", on_exchange: OnExchange) -> Writer:
    from platforms.shopify.writers import CustomerWriter

    return CustomerWriter(connection, wait, buckets, on_exchange)


def _check(connection: Connection, wait: Wait) -> CheckResult:
    from platforms.shopify.client import ShopifyClient

    return ShopifyClient(connection, wait=wait).check()


PLATFORM: Final = Platform(
    name="shopify",
    title="Shopify",
    role="channel",
    credentials=("access_token",),
    check=_check,
    pulls={
        "product": PullSource(partial(_open, "products"), records.product, partial(_changed, "products")),
        "customer": PullSource(partial(_open, "customers"), records.customer, partial(_changed, "customers")),
    },
    writers={"product": _product_writer, "customer": _customer_writer},
    address_form="https://SHOP.myshopify.com",
    location_id=location_id,
)
