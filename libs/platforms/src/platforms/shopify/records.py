"""Shopify's Admin GraphQL nodes to records, as the documents of the platforms library ask for them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from platforms import phones
from platforms.json_fields import (
    identifier,
    integer,
    iso_time,
    key_text,
    mapping,
    number,
    price,
    required_text,
    sequence,
    text,
)
from platforms.records import CustomerRecord, Product, ProductRecord, Stock, Variant

_NO_OPTIONS = "Default Title"  # Shopify's name for the one variant of a product without options


def product(node: Mapping[str, Any]) -> ProductRecord:
    """One product node with all its variants.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    product_id = identifier(node.get("id"), "id")
    status = text(node.get("status"), "status")
    variants = {
        variant.variant_id: variant
        for place, listed in enumerate(_nodes(node, "variants", ""))
        for variant in [_variant(mapping(listed, f"variants[{place}]"), product_id, f"variants[{place}].")]
    }
    return ProductRecord(
        record_id=product_id,
        product=Product(
            product_id=product_id,
            title=required_text(node.get("title"), "title"),
            brand=text(node.get("vendor"), "vendor"),
            description=text(node.get("description"), "description"),
            status=None if status is None else status.lower(),
        ),
        variants=tuple(variants.values()),
    )


def customer(node: Mapping[str, Any]) -> CustomerRecord:
    """One customer node. The first address with a street or a city is shown; all addresses give their phones.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    number_field = mapping(node.get("defaultPhoneNumber"), "defaultPhoneNumber")
    phone = key_text(number_field.get("phoneNumber"), "defaultPhoneNumber.phoneNumber")
    email_field = mapping(node.get("defaultEmailAddress"), "defaultEmailAddress")
    email = key_text(email_field.get("emailAddress"), "defaultEmailAddress.emailAddress")
    addresses = [
        mapping(address, f"addressesV2[{place}]") for place, address in enumerate(_nodes(node, "addressesV2", ""))
    ]
    others = [key_text(a.get("phone"), f"addressesV2[{place}].phone") for place, a in enumerate(addresses)]
    raw = phone or next((other for other in others if other), None)
    street, city = _address(addresses)
    return CustomerRecord(
        record_id=identifier(node.get("id"), "id"),
        name=_name(node, {phone, email}),
        phone=raw,
        phones=phones.alternates([phone, *others]),
        email=email,
        address=street,
        city=city,
        totals=_totals(node),
        updated_at=iso_time(node.get("updatedAt"), "updatedAt"),
    )


def _variant(node: Mapping[str, Any], product_id: str, path: str) -> Variant:
    item = mapping(node.get("inventoryItem"), f"{path}inventoryItem")
    places = _places(item, f"{path}inventoryItem.")
    options = text(node.get("title"), f"{path}title")
    retail, old = price(node.get("price"), f"{path}price"), price(node.get("compareAtPrice"), f"{path}compareAtPrice")
    known = [place.available for place in places if place.available is not None]
    listed = number(node.get("inventoryQuantity"), f"{path}inventoryQuantity")
    return Variant(
        variant_id=identifier(node.get("id"), f"{path}id"),
        product_id=product_id,
        options=None if options == _NO_OPTIONS else options,
        sku=key_text(node.get("sku"), f"{path}sku"),
        barcode=key_text(node.get("barcode"), f"{path}barcode"),
        price=retail,
        prices={name: value for name, value in {"retail": retail, "old": old}.items() if value is not None},
        stock=sum(known, Decimal(0)) if known else listed,
        inventory_item_id=text(item.get("id"), f"{path}inventoryItem.id"),
        places=places,
    )


def _places(item: Mapping[str, Any], path: str) -> tuple[Stock, ...]:
    found: dict[str, Stock] = {}
    for place, listed in enumerate(_nodes(item, "inventoryLevels", path)):
        here = f"{path}inventoryLevels[{place}]"
        level = mapping(listed, here)
        place_id = identifier(mapping(level.get("location"), f"{here}.location").get("id"), f"{here}.location.id")
        available: Decimal | None = None
        for at, entry in enumerate(sequence(level.get("quantities"), f"{here}.quantities")):
            quantity = mapping(entry, f"{here}.quantities[{at}]")
            if quantity.get("name") == "available":
                available = number(quantity.get("quantity"), f"{here}.quantities[{at}].quantity")
        found[place_id] = Stock(place_id, available)
    return tuple(found.values())


def _nodes(holder: Mapping[str, Any], field: str, path: str) -> list[Any]:
    return sequence(mapping(holder.get(field), f"{path}{field}").get("nodes"), f"{path}{field}.nodes")


def _name(node: Mapping[str, Any], no_names: set[str | None]) -> str | None:
    """Shopify shows the e-mail or the phone as `displayName` of somebody without a name: that is none."""
    parts = [text(node.get(field), field) for field in ("firstName", "lastName")]
    full = " ".join(part for part in parts if part)
    shown = text(node.get("displayName"), "displayName")
    return full or (None if shown in no_names else shown)


def _address(addresses: list[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    for place, address in enumerate(addresses):
        path = f"addressesV2[{place}]"
        streets = [text(address.get(line), f"{path}.{line}") for line in ("address1", "address2")]
        street = ", ".join(line for line in streets if line) or None
        city = text(address.get("city"), f"{path}.city")
        if street or city:
            return street, city
    return None, None


def _totals(node: Mapping[str, Any]) -> dict[str, Any]:
    spent = mapping(node.get("amountSpent"), "amountSpent")
    state = text(node.get("state"), "state")
    read = {
        "total_amount": number(spent.get("amount"), "amountSpent.amount"),
        "currency": text(spent.get("currencyCode"), "amountSpent.currencyCode"),
        "orders": integer(node.get("numberOfOrders"), "numberOfOrders"),
        "state": None if state is None else state.lower(),
    }
    return {name: value for name, value in read.items() if value is not None}
