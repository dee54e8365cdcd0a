"""What Shopify offers: pulls and writes of products and customers. Its client is imported when one is opened."""

import re
from typing import TYPE_CHECKING, Final

from platforms.adapter import PageIterator, Platform, PullSource, Selection, Writer
from platforms.connections import Connection
from platforms.errors import ValidationFailed
from platforms.results import CheckResult, OnExchange, Wait
from platforms.shopify import records

if TYPE_CHECKING:
    from platforms.buckets import Buckets

_PRODUCTS, _CUSTOMERS = 25, 100  # a page
_LOCATION: Final = "gid://shopify/Location/"
_LOCATION_ID: Final = re.compile(rf"(?:{_LOCATION})?(\d+)")


def location_id(text: str) -> str:
    """A location's full id; settings may name it by its number alone. Raises ValueError for anything else."""
    found = _LOCATION_ID.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no location id")
    return _LOCATION + found[1]


def _products(connection: Connection, selection: Selection, wait: Wait, buckets: "Buckets") -> PageIterator:
    from platforms.shopify.client import ShopifyClient

    query, size = _checked_query(selection), selection.page_size or _PRODUCTS
    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    return PageIterator(
        client, lambda next: client.products(next, query=query, size=size), lambda: client.count_products(query)
    )


def _customers(connection: Connection, selection: Selection, wait: Wait, buckets: "Buckets") -> PageIterator:
    from platforms.shopify.client import ShopifyClient

    query, size = _checked_query(selection), selection.page_size or _CUSTOMERS
    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    return PageIterator(
        client, lambda next: client.customers(next, query=query, size=size), lambda: client.count_customers(query)
    )


def _checked_query(selection: Selection) -> str | None:
    if selection.filters:
        raise ValidationFailed("WRONG_PARAMETER", "Shopify takes params.query, not params.filters")
    return selection.query


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
        "product": PullSource(_products, records.product),
        "customer": PullSource(_customers, records.customer),
    },
    writers={"product": _product_writer, "customer": _customer_writer},
    address_form="https://SHOP.myshopify.com",
    location_id=location_id,
)
