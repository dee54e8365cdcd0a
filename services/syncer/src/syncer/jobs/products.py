"""PRODUCT_SYNC: Nhanh's prices by productVariantsBulkUpdate, its stock by inventorySetQuantities."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain import depots, desired, fields
from syncer.domain.depots import Location
from syncer.domain.keys import Quantity, idempotency_key
from syncer.domain.plan import Change
from syncer.jobs.side import MappedTarget, Pair, Read, Writing, about, outcomes, stale_problem
from syncer.store import rows
from syncer.store.plans import FieldOutcome, Intended
from syncer.store.rows import Kind, Row, Scope
from worker.errors import JobFailed

QUANTITIES = 100  # a call; Shopify takes 250
_ON_NHANH = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", "the mapped product is no longer in Nhanh's catalogue")


class ProductTarget(MappedTarget):
    """Prices and stock of mapped variants."""

    kind: Kind = "product"
    batch_size = 50

    def __init__(self) -> None:
        self._settings = AccountSettings()
        self._client: ShopifyClient | None = None
        self._first_location: str | None = None

    def prepare(self, client: ShopifyClient, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Make sure that every depot's stock has its place; the shop is asked only where the catalogue can't tell."""
        self._settings, self._client = settings, client
        mapped = settings.depot_locations
        if not settings.write.stock:
            return
        if (problem := depots.map_problem(mapped)) is not None:
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", problem)
        if not mapped and settings.unmapped_depots == "sum":
            self._first_location = self._locations()[0].gid
            return
        with pool.connection() as conn:
            if rows.count_pairs(conn, scope) == 0 or (mapped and rows.has_depot(conn, scope, map(str.strip, mapped))):
                return
            known = rows.places(conn, scope)
        if not known.depots:
            return
        if mapped:
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", depots.unknown_depots(mapped, known.depots))
        if depots.is_plain(known.depots, known.locations):
            self._first_location = known.locations[0]
            return
        locations = self._locations()
        if not depots.is_plain(known.depots, locations):
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", depots.choices(known.depots, locations))
        self._first_location = locations[0].gid

    def check_writable(self) -> None:
        """Prices need a shop that sells in the currency of the price rule."""
        if not self._settings.write.price:
            return
        currency = self._connected().shop().get("currencyCode")
        if not isinstance(currency, str) or not currency:
            raise JobFailed("PLATFORM_ERROR", "CURRENCY_UNKNOWN", "the shop does not tell in which currency it sells")
        problem = desired.currency_problem(currency, self._settings.price_rule)
        if problem is not None:
            raise JobFailed("VALIDATION_FAILED", "CURRENCY", problem)

    def pairs(self, conn: Connection, scope: Scope, found: list[Row]) -> list[Pair]:
        ids = {"nhanh": [row["hub_id"] for row in found], "shopify": [row["remote_id"] for row in found]}
        stocks = rows.stock(conn, scope, "nhanh", ids["nhanh"])
        levels = rows.stock(conn, scope, "shopify", ids["shopify"])
        return [self._pair(row, stocks.get(row["hub_id"], []), levels.get(row["remote_id"], [])) for row in found]

    def _locations(self) -> list[Location]:
        found = [Location(str(one["id"]), str(one.get("name") or "")) for one in self._connected().locations()]
        if not found:
            raise JobFailed("VALIDATION_FAILED", "NO_LOCATION", "the shop has no active location to keep stock at")
        return found

    def _connected(self) -> ShopifyClient:
        if self._client is None:
            raise RuntimeError("a side must be prepared before it is used")
        return self._client

    def _pair(
        self,
        row: Row,
        stocks: list[tuple[str, Decimal | None]],
        levels: list[tuple[str, Decimal | None]],
    ) -> Pair:
        hub_id, remote_id, settings = row["hub_id"], row["remote_id"], self._settings
        shown = about(row["method"], title=_title(row), sku=row["sku"] or row["shop_sku"])
        problem = stale_problem(row) if row["on_nhanh"] else _ON_NHANH
        if problem is not None:
            return Pair(hub_id, remote_id, problem=problem, skipped=True, about=shown)
        wanted: dict[str, str] = {}
        if settings.write.price:
            rule = settings.price_rule
            # A factor of 1 is let through by `check_writable` in a shop of the hub's currency only.
            currency = row["currency"] or (desired.HUB_CURRENCY if rule.currency_factor == 1 else None)
            priced = desired.price(_price_of(row, settings), row["vat_mode"], rule, currency)
            if priced.problem is not None:
                refused = ErrorInfo("VALIDATION_FAILED", "PRICE_RULE", priced.problem)
                return Pair(hub_id, remote_id, problem=refused, about=shown)
            if priced.value is not None:
                wanted[fields.PRICE] = priced.value
        if settings.write.stock:
            wanted |= desired.stock(stocks, settings.depot_locations, self._first_location, settings.safety_stock)
        believed: dict[str, str | None] = {
            fields.stock_at(desired.location_gid(place)): None if available is None else fields.plain_number(available)
            for place, available in levels
        }
        if row["pulled_at"] is not None and row["shop_price"] is not None:
            believed[fields.PRICE] = fields.plain_number(row["shop_price"])
        return Pair(
            hub_id, remote_id, wanted, believed, row["pulled_at"], rows.last_written_of_row(row), about=shown
        )

    def read(self, client: ShopifyClient, remote_ids: Sequence[str]) -> dict[str, Read]:
        return {str(variant["id"]): _read(variant) for variant in client.variants_by_ids(remote_ids)}

    def write(self, writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        yield from _write_prices(writing, items)
        yield from _write_stock(writing, items)


def _title(row: Row) -> str | None:
    """Nhanh's name of the variant, the shop's where Nhanh has the record no more."""
    title, variant = row["title"], row["variant_title"]
    if title is None:
        title, variant = row["shop_title"], row["shop_variant_title"]
    if not title or not variant or variant in title:
        return title or variant
    return f"{title} {variant}"


def _price_of(row: Row, settings: AccountSettings) -> Decimal | None:
    value = (row["prices"] or {}).get(settings.price_rule.field)
    return None if value is None else Decimal(str(value))


def _read(variant: dict[str, Any]) -> Read:
    item = variant["inventoryItem"]
    present: dict[str, str | None] = {fields.PRICE: variant["price"]}
    for level in item["inventoryLevels"]["nodes"]:
        quantity = next((q["quantity"] for q in level["quantities"] if q["name"] == "available"), None)
        present[fields.stock_at(level["location"]["id"])] = None if quantity is None else str(quantity)
    refs = {"product": str(variant["product"]["id"]), "inventory_item": str(item["id"])}
    return Read(present, refs)


def _write_prices(writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
    """One call a product: neighbours in the plan, because it is ordered by product."""
    priced = [(item, change) for item in items for change in item.writes if change.field == fields.PRICE]
    for product, group in groupby(priced, key=lambda pair: pair[0].refs["product"]):
        variants = list(group)
        inputs = [{"id": item.remote_id, "price": change.after} for item, change in variants]
        results = writing.client.update_variants(product, inputs)
        for (item, change), result in zip(variants, results, strict=True):
            yield from outcomes(item.remote_id, [change], result.error, writing.log.last_ms)


def _write_stock(writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
    stocked = [
        (item, change, location)
        for item in items
        for change in item.writes
        if (location := fields.location_of(change.field)) is not None
    ]
    for start in range(0, len(stocked), QUANTITIES):
        part = stocked[start : start + QUANTITIES]
        quantities = [_quantity(item, change, location) for item, change, location in part]
        key = idempotency_key(writing.job_id, writing.batch, writing.step, quantities)
        inputs = [
            {
                "inventoryItemId": one.inventory_item_id,
                "locationId": one.location_id,
                "quantity": one.quantity,
                "changeFromQuantity": one.change_from,
            }
            for one in quantities
        ]
        results = writing.client.set_quantities(inputs, idempotency_key=key)
        for (item, change, _), result in zip(part, results, strict=True):
            yield from outcomes(item.remote_id, [change], result.error, writing.log.last_ms)


def _quantity(item: Intended, change: Change, location: str) -> Quantity:
    before = None if change.before is None else int(change.before)
    return Quantity(item.refs["inventory_item"], location, int(change.after), before)
