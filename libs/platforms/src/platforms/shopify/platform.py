"""What Shopify offers: pulls and writes of products and customers. Its client is imported when one is opened."""

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from platforms.adapter import PageIterator, Platform, PullSource, Selection, Writer
from platforms.connections import Connection
from platforms.errors import ValidationFailed
from platforms.results import CheckResult, OnExchange, Wait
from platforms.shopify import records

if TYPE_CHECKING:
    from platforms.buckets import Buckets

_PAGE_SIZES = {"products": 25, "customers": 100}
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
    return PageIterator(client, lambda next: page(next, query=query, size=size), lambda: count(query))


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
        "product": PullSource(partial(_open, "products"), records.product),
        "customer": PullSource(partial(_open, "customers"), records.customer),
    },
    writers={"product": _product_writer, "customer": _customer_writer},
    address_form="https://SHOP.myshopify.com",
    location_id=location_id,
)
