"""The four pulls as data: which platform, which kind of record, how its pages are asked for and read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from job_events.job_types import PullParams
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.nhanh.client import MAX_SIZE, NhanhClient
from platforms.results import Page, Wait
from platforms.shopify.client import ShopifyClient
from puller.domain import nhanh, shopify
from puller.domain.records import Kind, Record
from worker.errors import JobFailed

_SHOPIFY_PRODUCTS, _SHOPIFY_CUSTOMERS = 25, 100  # the client's own page sizes


class Client(Protocol):
    """What both platforms' clients count, and how they end."""

    @property
    def requests(self) -> int: ...

    @property
    def rate_limit_hits(self) -> int: ...

    def close(self) -> None: ...


def _untold() -> None:
    """The count of a platform that tells none."""


class PageIterator:
    """A walk over one shop: `page(next)` gives the page behind a cursor (None = the first).

    count: how many records the walk should meet, as the platform counts them now; None = it does not say.
    """

    def __init__(
        self, client: Client, page: Callable[[Any | None], Page], count: Callable[[], int | None] = _untold
    ) -> None:
        self.client = client
        self.page = page
        self.count = count


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of pull. `read` raises MalformedRecord."""

    platform: str
    kind: Kind
    read: Callable[[Mapping[str, Any]], Record]
    open: Callable[[Connection, PullParams, Wait, Buckets], PageIterator]


def _nhanh_products(connection: Connection, params: PullParams, wait: Wait, buckets: Buckets) -> PageIterator:
    size = _nhanh_size(params)
    client = NhanhClient(connection, wait=wait, buckets=buckets)
    return PageIterator(client, lambda next: client.products(next, filters=params.filters, size=size))


def _nhanh_customers(connection: Connection, params: PullParams, wait: Wait, buckets: Buckets) -> PageIterator:
    size = _nhanh_size(params)
    client = NhanhClient(connection, wait=wait, buckets=buckets)
    return PageIterator(client, lambda next: client.customers(next, filters=params.filters, size=size))


def _shopify_products(connection: Connection, params: PullParams, wait: Wait, buckets: Buckets) -> PageIterator:
    size = _shopify_size(params, _SHOPIFY_PRODUCTS)
    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    return PageIterator(
        client,
        lambda next: client.products(next, query=params.query, size=size),
        lambda: client.count_products(params.query),
    )


def _shopify_customers(connection: Connection, params: PullParams, wait: Wait, buckets: Buckets) -> PageIterator:
    size = _shopify_size(params, _SHOPIFY_CUSTOMERS)
    client = ShopifyClient(connection, wait=wait, buckets=buckets)
    return PageIterator(
        client,
        lambda next: client.customers(next, query=params.query, size=size),
        lambda: client.count_customers(params.query),
    )


def _nhanh_size(params: PullParams) -> int:
    if params.query:
        raise JobFailed(
            "VALIDATION_FAILED", "WRONG_PARAMETER", "params.query is for Shopify; Nhanh takes params.filters"
        )
    return min(params.page_size or MAX_SIZE, MAX_SIZE)


def _shopify_size(params: PullParams, usual: int) -> int:
    if params.filters:
        raise JobFailed(
            "VALIDATION_FAILED", "WRONG_PARAMETER", "params.filters is for Nhanh; Shopify takes params.query"
        )
    return params.page_size or usual


SOURCES: Final[dict[str, Source]] = {
    "PULL_NHANH_PRODUCTS": Source("nhanh", "product", nhanh.product, _nhanh_products),
    "PULL_NHANH_CUSTOMERS": Source("nhanh", "customer", nhanh.customer, _nhanh_customers),
    "PULL_SHOPIFY_PRODUCTS": Source("shopify", "product", shopify.product, _shopify_products),
    "PULL_SHOPIFY_CUSTOMERS": Source("shopify", "customer", shopify.customer, _shopify_customers),
}
