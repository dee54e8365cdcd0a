"""Nhanh v3 to records. Facts: Nhanh's Open API v3, product/list, product/inventory and customer/list.

`parentId` -1 is a product with one variant (itself), -2 a parent that is not sold itself, anything above 0
names the parent of a child. A sellable quantity is `available`, never `remain`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from platforms import phones
from platforms.errors import MalformedRecord
from platforms.json_fields import (
    identifier,
    integer,
    key_text,
    mapping,
    number,
    price,
    required_text,
    sequence,
    text,
    unix_time,
)
from platforms.records import CustomerRecord, Product, ProductRecord, Stock, StockRecord, Variant

STANDALONE, PARENT = -1, -2
CURRENCY = "VND"

# Nhanh's names and those of the price rule in the account settings.
_PRICES = {
    "retail": "retail",
    "retailVat": "retail_vat",
    "old": "old",
    "wholesale": "wholesale",
    "import": "import",
    "importVat": "import_vat",
    "avgCost": "avg_cost",
}
_STATUS = {1: "new", 2: "selling", 3: "stopped", 4: "out_of_stock"}
_GENDER = {1: "male", 2: "female"}
_CUSTOMER_TYPE = {1: "retail", 2: "wholesale", 3: "agent"}


def product(item: Mapping[str, Any]) -> ProductRecord:
    """One item of product/list.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    record_id = identifier(item.get("id"), "id")
    parent = integer(item.get("parentId"), "parentId")
    # v3 documents -1 for a product on its own; a missing parent or 0 can only mean the same.
    if parent in {None, 0, STANDALONE}:
        return ProductRecord(
            record_id=record_id, product=_product(item, record_id), variants=(_variant(item, record_id, record_id),)
        )
    if parent == PARENT:
        return ProductRecord(record_id=record_id, product=_product(item, record_id), variants=())
    if parent is None or parent < 0:
        raise MalformedRecord("parentId", f"{parent} is neither a product's id nor -1 nor -2")
    return ProductRecord(record_id=record_id, product=None, variants=(_child(item, record_id, str(parent)),))


def stock(item: Mapping[str, Any]) -> StockRecord:
    """One item of product/inventory. A parent is listed too, without a variant of its own.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    inventory = mapping(item.get("inventory"), "inventory")
    places = _places(inventory)
    return StockRecord(
        variant_id=identifier(item.get("productId"), "productId"), stock=_stock(inventory, places), places=places
    )


def customer(item: Mapping[str, Any]) -> CustomerRecord:
    """One item of customer/list. Places come as Nhanh's own numbers, so `city` stays empty.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    phone = key_text(item.get("mobile"), "mobile")
    return CustomerRecord(
        record_id=identifier(item.get("id"), "id"),
        name=text(item.get("name"), "name"),
        phone=phone,
        phones=phones.alternates([phone]),
        email=key_text(item.get("email"), "email"),
        address=text(item.get("address"), "address"),
        totals=_totals(item),
        updated_at=unix_time(item.get("updatedAt"), "updatedAt"),
    )


def _product(item: Mapping[str, Any], product_id: str) -> Product:
    return Product(product_id=product_id, title=required_text(item.get("name"), "name"), **_described(item))


def _child(item: Mapping[str, Any], variant_id: str, product_id: str) -> Variant:
    values = [
        text(mapping(attribute, f"attributes[{place}]").get("value"), f"attributes[{place}].value")
        for place, attribute in enumerate(sequence(item.get("attributes"), "attributes"))
    ]
    return _variant(
        item,
        variant_id,
        product_id,
        name=required_text(item.get("name"), "name"),
        options=" / ".join(value for value in values if value) or None,
        **_described(item),
    )


def _variant(item: Mapping[str, Any], variant_id: str, product_id: str, **described: str | None) -> Variant:
    inventory = mapping(item.get("inventory"), "inventory")
    places = _places(inventory)
    prices = _prices(item)
    return Variant(
        variant_id=variant_id,
        product_id=product_id,
        sku=key_text(item.get("code"), "code"),
        barcode=key_text(item.get("barcode"), "barcode"),
        price=prices.get("retail"),
        prices=prices,
        vat_mode=_vat_mode(item.get("priceVatMode")),
        currency=CURRENCY,
        stock=_stock(inventory, places),
        places=places,
        **described,
    )


def _described(item: Mapping[str, Any]) -> dict[str, str | None]:
    """Brand and description are not among the documented fields of the list; where they come, they are kept."""
    brand = item.get("brand")
    name = brand.get("name") if isinstance(brand, Mapping) else brand or item.get("brandName")
    status = integer(item.get("status"), "status")
    return {
        "brand": text(name, "brand"),
        "model": text(item.get("otherName"), "otherName"),
        "description": text(item.get("description"), "description"),
        "status": None if status is None else _STATUS.get(status, str(status)),
    }


def _prices(item: Mapping[str, Any]) -> dict[str, Decimal]:
    found = mapping(item.get("prices"), "prices")
    read = {ours: price(found.get(theirs), f"prices.{theirs}") for theirs, ours in _PRICES.items()}
    return {name: value for name, value in read.items() if value is not None}


def _vat_mode(value: Any) -> int | None:
    mode = integer(value, "priceVatMode")
    if mode not in {None, 1, 2}:
        raise MalformedRecord("priceVatMode", f"{mode} is neither 1 (VAT included) nor 2 (VAT on top)")
    return mode


def _places(inventory: Mapping[str, Any]) -> tuple[Stock, ...]:
    found: dict[str, Stock] = {}
    for place, listed in enumerate(sequence(inventory.get("depots"), "inventory.depots")):
        path = f"inventory.depots[{place}]"
        depot = mapping(listed, path)
        place_id = identifier(depot.get("id"), f"{path}.id")
        found[place_id] = Stock(place_id, number(depot.get("available"), f"{path}.available"))
    return tuple(found.values())


def _stock(inventory: Mapping[str, Any], places: tuple[Stock, ...]) -> Decimal | None:
    """The sum over the depots; Nhanh's own sum where it names no depots."""
    known = [place.available for place in places if place.available is not None]
    return sum(known, Decimal(0)) if known else number(inventory.get("available"), "inventory.available")


def _totals(item: Mapping[str, Any]) -> dict[str, Any]:
    gender, kind = integer(item.get("gender"), "gender"), integer(item.get("type"), "type")
    read = {
        "total_amount": number(item.get("totalAmount"), "totalAmount"),
        "currency": CURRENCY,
        "points": integer(item.get("points"), "points"),
        "level": text(mapping(item.get("level"), "level").get("name"), "level.name"),
        "group": text(mapping(item.get("group"), "group").get("name"), "group.name"),
        "type": None if kind is None else _CUSTOMER_TYPE.get(kind, str(kind)),
        "gender": None if gender is None else _GENDER.get(gender, str(gender)),
        "birthday": text(item.get("birthday"), "birthday"),
        "code": text(item.get("code"), "code"),
        "company": text(mapping(item.get("business"), "business").get("name"), "business.name"),
        "tax_code": text(item.get("taxCode"), "taxCode"),
        "started": text(item.get("startedDate"), "startedDate"),
        "last_bought": text(item.get("lastBoughtDate"), "lastBoughtDate"),
    }
    return {name: value for name, value in read.items() if value is not None}
