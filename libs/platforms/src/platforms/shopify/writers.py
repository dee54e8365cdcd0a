"""What a sync reads and writes of a shop: prices and stock of variants, contacts and metafields of customers.

Prices go by productVariantsBulkUpdate, stock by inventorySetQuantities, contacts by customerUpdate, totals by
metafieldsSet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from platforms.adapter import FieldWrite, Location, RemoteRecord, WriteOutcome
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.field_names import EMAIL, METAFIELDS, NAME, PHONE, PRICE, location_of, metafield, metafield_key, stock_at
from platforms.results import Exchange, ItemResult, Json, OnExchange, Wait
from platforms.shopify.client import ShopifyClient

METAFIELD_TYPES: Final[Mapping[str, str]] = {
    "customer_id": "single_line_text_field",
    "total_amount": "number_decimal",
    "points": "number_integer",
    "level": "single_line_text_field",
}
"""Key in our namespace -> Shopify's metafield type."""
_QUANTITIES: Final = 100  # a call; Shopify takes 250
_METAFIELDS: Final = 25  # Shopify's limit a call


class _ShopWriter:
    """What both kinds share: one client, whose last answer is timed."""

    def __init__(self, connection: Connection, wait: Wait, buckets: Buckets, on_exchange: OnExchange) -> None:
        self._on_exchange = on_exchange
        self._last_ms = 0
        self._client = ShopifyClient(connection, wait=wait, buckets=buckets, on_exchange=self._timed)

    @property
    def requests(self) -> int:
        return self._client.requests

    @property
    def rate_limit_hits(self) -> int:
        return self._client.rate_limit_hits

    def close(self) -> None:
        self._client.close()

    def currency(self) -> str | None:
        found = self._client.shop().get("currencyCode")
        return found if isinstance(found, str) and found else None

    def locations(self) -> list[Location]:
        found = ((str(one["id"]), str(one.get("name") or "")) for one in self._client.locations())
        return [Location(location_id, name, location_id.rpartition("/")[2]) for location_id, name in found]

    def _timed(self, exchange: Exchange) -> None:
        self._last_ms = round(exchange.duration_ms)
        self._on_exchange(exchange)

    def _outcomes(self, values: Iterable[FieldWrite], results: Iterable[ItemResult]) -> Iterable[WriteOutcome]:
        for value, result in zip(values, results, strict=True):
            yield WriteOutcome(value.remote_id, value.name, result.error, self._last_ms)


class ProductWriter(_ShopWriter):
    """Prices and stock of variants. refs of a record: `product`, `inventory_item`."""

    batch_size = 50

    def read(self, remote_ids: Sequence[str]) -> dict[str, RemoteRecord]:
        return {str(variant["id"]): _variant(variant) for variant in self._client.variants_by_ids(remote_ids)}

    def write(self, values: Sequence[FieldWrite], key: Callable[[object], str]) -> Iterable[WriteOutcome]:
        yield from self._write_prices([value for value in values if value.name == PRICE])
        yield from self._write_stock([value for value in values if location_of(value.name) is not None], key)

    def _write_prices(self, values: Sequence[FieldWrite]) -> Iterable[WriteOutcome]:
        """One call a product, in the order of the first variant of each."""
        products: dict[str, list[FieldWrite]] = {}
        for value in values:
            products.setdefault(value.refs["product"], []).append(value)
        for product, variants in products.items():
            inputs = [{"id": value.remote_id, "price": value.after} for value in variants]
            yield from self._outcomes(variants, self._client.update_variants(product, inputs))

    def _write_stock(self, values: Sequence[FieldWrite], key: Callable[[object], str]) -> Iterable[WriteOutcome]:
        for start in range(0, len(values), _QUANTITIES):
            part = values[start : start + _QUANTITIES]
            quantities = [_quantity(value) for value in part]
            results = self._client.set_quantities(quantities, idempotency_key=key(_content(quantities)))
            yield from self._outcomes(part, results)


class CustomerWriter(_ShopWriter):
    """Name, phone, e-mail and metafields of customers."""

    batch_size = 25

    def read(self, remote_ids: Sequence[str]) -> dict[str, RemoteRecord]:
        found = self._client.customers_by_ids(remote_ids, namespace=METAFIELDS)
        return {str(customer["id"]): RemoteRecord(_customer_fields(customer)) for customer in found}

    def write(self, values: Sequence[FieldWrite], key: Callable[[object], str]) -> Iterable[WriteOutcome]:
        del key  # neither mutation takes one: both set absolute values
        yield from self._write_contacts([value for value in values if metafield_key(value.name) is None])
        yield from self._write_metafields([value for value in values if metafield_key(value.name) is not None])

    def _write_contacts(self, values: Sequence[FieldWrite]) -> Iterable[WriteOutcome]:
        """One call a customer, whose values must be neighbours."""
        for customer_id, group in groupby(values, key=lambda value: value.remote_id):
            contacts = list(group)
            result = self._client.update_customer({"id": customer_id, **_customer_input(contacts)})
            yield from self._outcomes(contacts, [result] * len(contacts))

    def _write_metafields(self, values: Sequence[FieldWrite]) -> Iterable[WriteOutcome]:
        for start in range(0, len(values), _METAFIELDS):
            part = values[start : start + _METAFIELDS]
            yield from self._outcomes(part, self._client.set_metafields([_metafield_input(value) for value in part]))


def split_name(name: str) -> tuple[str, str]:
    """(first name, last name) of a Vietnamese name: the family name stands first, the rest is given."""
    family, _, given = name.partition(" ")
    return (given, family) if given else (family, "")


def _variant(variant: Json) -> RemoteRecord:
    item = variant["inventoryItem"]
    fields: dict[str, str | None] = {PRICE: variant["price"]}
    for level in item["inventoryLevels"]["nodes"]:
        quantity = next((q["quantity"] for q in level["quantities"] if q["name"] == "available"), None)
        fields[stock_at(level["location"]["id"])] = None if quantity is None else str(quantity)
    return RemoteRecord(fields, {"product": str(variant["product"]["id"]), "inventory_item": str(item["id"])})


def _customer_fields(customer: Json) -> dict[str, str | None]:
    name = " ".join(part for part in (customer["lastName"], customer["firstName"]) if part)
    fields: dict[str, str | None] = {
        NAME: name or None,
        PHONE: (customer["defaultPhoneNumber"] or {}).get("phoneNumber"),
        EMAIL: (customer["defaultEmailAddress"] or {}).get("emailAddress"),
    }
    for node in customer["metafields"]["nodes"]:
        fields[metafield(node["key"])] = node["value"]
    return fields


def _quantity(value: FieldWrite) -> dict[str, Any]:
    """changeFromQuantity: the value read just before; null = there was no level to compare with."""
    return {
        "inventoryItemId": value.refs["inventory_item"],
        "locationId": location_of(value.name),
        "quantity": int(value.after),
        "changeFromQuantity": None if value.before is None else int(value.before),
    }


def _content(quantities: Sequence[Mapping[str, Any]]) -> str:
    """What the idempotency key of these quantities is made of. Another text is another key: a repeat that an older
    version began would be refused."""
    return ",".join(
        f"{one['inventoryItemId']}@{one['locationId']}:{one['changeFromQuantity']}>{one['quantity']}"
        for one in quantities
    )


def _customer_input(values: Sequence[FieldWrite]) -> dict[str, str | None]:
    """The fields as Shopify takes them; an empty value clears the field."""
    fields: dict[str, str | None] = {value.name: value.after or None for value in values}
    if NAME in fields:
        fields["firstName"], fields["lastName"] = split_name(fields.pop(NAME) or "")
    return fields


def _metafield_input(value: FieldWrite) -> dict[str, str]:
    key = metafield_key(value.name) or ""
    return {
        "ownerId": value.remote_id,
        "namespace": METAFIELDS,
        "key": key,
        "type": METAFIELD_TYPES[key],
        "value": value.after,
    }
