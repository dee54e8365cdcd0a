"""The client of one Shopify shop: Admin GraphQL 2026-10."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import httpx

from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import PlatformError
from platforms.results import CheckResult, ItemResult, Json, OnExchange, Page, Wait
from platforms.retry import DEFAULT_RETRY_TIMEOUT
from platforms.shopify.mutations import ShopifyWriter
from platforms.shopify.queries import ShopifyReader
from platforms.shopify.transport import GraphqlTransport

_CHECK_TIMEOUT: Final = 10.0  # seconds; a person is waiting for the answer


class ShopifyClient:
    """Reads and writes one shop. Not thread-safe: one instance a job.

    Ids are gids (`gid://shopify/Product/1`), money is text. Every call may raise InvalidCredentials,
    PermissionDenied, NotFound, ValidationFailed, Rejected at once, and RateLimited or Unavailable after
    `retry_timeout` seconds of trying. Errors of single items stand in their ItemResult and are not raised.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        wait: Wait,
        buckets: Buckets | None = None,
        clock: Callable[[], float] = time.time,
        http: httpx.Client | None = None,
        on_exchange: OnExchange | None = None,
        retry_timeout: float = DEFAULT_RETRY_TIMEOUT,
    ) -> None:
        self._transport = GraphqlTransport(
            connection,
            wait=wait,
            buckets=buckets,
            clock=clock,
            http=http,
            on_exchange=on_exchange,
            retry_timeout=retry_timeout,
        )
        self._retry_timeout = retry_timeout
        self._reader = ShopifyReader(self._transport)
        self._writer = ShopifyWriter(self._transport)

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._transport.requests

    @property
    def rate_limit_hits(self) -> int:
        """How often the shop said THROTTLED or 429."""
        return self._transport.rate_limit_hits

    @property
    def clock(self) -> datetime | None:
        """What the shop's clock showed, at the most, when the first request was sent; None = it did not say."""
        return self._transport.clock

    def products(self, cursor: Any | None = None, *, query: str | None = None, size: int = 25) -> Page:
        """Products by ascending id. query: Shopify's search syntax (`updated_at:>='2026-11-01T00:00:00Z'`).

        Each carries `variants.nodes`, each of these `inventoryItem.inventoryLevels.nodes`, all complete.
        size: at most so many; fewer where the query would cost over 1000 points.
        """
        return self._reader.products(cursor, query, size)

    def customers(self, cursor: Any | None = None, *, query: str | None = None, size: int = 100) -> Page:
        """Customers by ascending id, `addressesV2.nodes` complete. `updated_at` filters match whole days."""
        return self._reader.customers(cursor, query, size)

    def count_products(self, query: str | None = None) -> int | None:
        """How many products there are for `query` now; None = the shop does not say."""
        return self._reader.count("products", query)

    def count_customers(self, query: str | None = None) -> int | None:
        """How many customers there are for `query` now; None = the shop does not say."""
        return self._reader.count("customers", query)

    def shop(self) -> Json:
        """The shop itself: `id`, `name`, `myshopifyDomain`, `currencyCode`."""
        return self._reader.shop(self._retry_timeout)

    def locations(self) -> list[Json]:
        """All active locations by ascending id: `id`, `name`, `isActive`."""
        return self._reader.locations()

    def variants_by_ids(self, ids: Sequence[str]) -> list[Json]:
        """The variants that exist, in the order asked, as in `products` and with `product {id}` besides."""
        return self._reader.variants_by_ids(ids)

    def customers_by_ids(self, ids: Sequence[str], *, namespace: str = "nhanh") -> list[Json]:
        """The customers that exist, in the order asked, with up to 10 metafields of `namespace` besides."""
        return self._reader.customers_by_ids(ids, namespace)

    def update_variants(self, product_id: str, variants: Sequence[Json]) -> list[ItemResult]:
        """Set fields of up to 250 variants of one product (ProductVariantsBulkInput: `id`, `price`, …).

        ItemResult.key is the variant's id. Stock can't be set here, the SKU is `inventoryItem.sku`.
        """
        return self._writer.update_variants(product_id, variants)

    def set_quantities(
        self, quantities: Sequence[Json], *, reason: str = "correction", idempotency_key: str
    ) -> list[ItemResult]:
        """Set the available stock of up to 250 pairs of `inventoryItemId` and `locationId` to `quantity`.

        changeFromQuantity: what the caller believes is there; if it is not, the item's error is a Conflict
        and nothing is written. None or absent = no check. idempotency_key: the same for a repeat of the same
        content, another for other content. ItemResult.key is `inventoryItemId@locationId`.
        """
        return self._writer.set_quantities(quantities, reason=reason, idempotency_key=idempotency_key)

    def update_customer(self, input: Json) -> ItemResult:
        """Set fields of a customer (CustomerInput with `id`; no addresses). ItemResult.key is the id."""
        return self._writer.update_customer(input)

    def set_metafields(self, metafields: Sequence[Json]) -> list[ItemResult]:
        """Set up to 25 metafields (`ownerId`, `namespace`, `key`, `type`, `value`, all text).

        ItemResult.key is `ownerId#namespace.key`. With `compareDigest`, a repeat after a lost answer may
        show as a Conflict although the first was written.
        """
        return self._writer.set_metafields(metafields)

    def check(self) -> CheckResult:
        """Whether the shop can be reached with this token."""
        try:
            shop = self._reader.shop(min(self._retry_timeout, _CHECK_TIMEOUT))
        except PlatformError as error:
            return CheckResult(False, error.message, error)
        return CheckResult(True, f"Shopify knows {shop['name']} ({shop['myshopifyDomain']})")

    def close(self) -> None:
        """Close the network connections."""
        self._transport.close()
