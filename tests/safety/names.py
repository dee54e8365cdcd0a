"""The ids of a case and those of the platforms, in both directions."""

from typing import Any

from tests.safety.case import RecordKind

from sandbox.shops import DEPOTS, LOCATIONS

PLACES = ("stock", "stock2")
_ITEM_OFFSET = 400_000_000_000_000_000
_JOBS = {
    "pull_nhanh": "PULL_NHANH_{kind}S",
    "pull_shopify": "PULL_SHOPIFY_{kind}S",
    "match": "AUTO_MATCH_{kind}S",
    "sync": "{kind}_SYNC",
    "revert": "REVERT_SYNC",
}


def job_type(name: str, kind: RecordKind) -> str:
    """`sync` of a case about products is PRODUCT_SYNC."""
    return _JOBS[name].format(kind=kind.upper())


def job_name(type_: str) -> str:
    """The reverse of `job_type`."""
    return next(name for name, form in _JOBS.items() if type_ in {form.format(kind=k) for k in ("PRODUCT", "CUSTOMER")})


def place_of(text: str) -> tuple[str, int] | None:
    """`depot 2` or `location 1` as (kind, id), None for anything else."""
    kind, _, number = text.partition(" ")
    places = {"depot": DEPOTS, "location": LOCATIONS}.get(kind)
    return (kind, places[int(number) - 1][0]) if places else None


def hub_id(name: str) -> str:
    """`504` is product 504; `700/1` the first variant of product 700, which Nhanh numbers 701."""
    product, _, place = name.partition("/")
    return str(int(product) + int(place)) if place else product


def variant_number(name: str) -> int:
    """`604` is the only variant of product 604, `700/2` the second of product 700."""
    product, _, place = name.partition("/")
    return int(product) * 100 + int(place or 1)


def shop_gid(name: str, kind: RecordKind) -> str:
    """The global id of a variant or customer."""
    if kind == "customer":
        return f"gid://shopify/Customer/{name}"
    return f"gid://shopify/ProductVariant/{variant_number(name)}"


def shop_name(gid: str) -> str:
    """The reverse of `shop_gid`, also for inventory items; a product's first variant is called as its product."""
    kind, _, number = gid.removeprefix("gid://shopify/").partition("/")
    if kind == "Customer":
        return number
    variant = int(number) - _ITEM_OFFSET if kind == "InventoryItem" else int(number)
    product, place = divmod(variant, 100)
    return str(product) if place == 1 else f"{product}/{place}"


def normal(name: str) -> str:
    """`700/1` and `700` are one variant of the shop."""
    return name.removesuffix("/1")


def stock_field(location: str) -> str:
    """`stock` or `stock2`, by the location's (global) id."""
    number = int(location.rpartition("/")[2])
    return next((name for name, (at, _) in zip(PLACES, LOCATIONS, strict=True) if at == number), f"stock@{number}")


def field_name(field: str) -> str:
    """A field of an item's changes: `stock@gid…` by its place, all others as they are."""
    return stock_field(field.removeprefix("stock@")) if field.startswith("stock@") else field


def written_fields(item: dict[str, Any]) -> dict[str, str]:
    """Field -> value of one accepted write in the sandbox's log."""
    values = item["values"]
    if item["kind"] == "inventorySetQuantities":
        return {stock_field(values["locationId"]): str(values["quantity"])}
    if item["kind"] == "metafieldsSet":
        return {values["name"]: str(values["value"])}
    fields = {name: "" if value is None else str(value) for name, value in values.items()}
    if "firstName" in fields or "lastName" in fields:
        fields["name"] = f"{fields.pop('lastName', '')} {fields.pop('firstName', '')}".strip()
    return fields


def variant_values(doc: dict[str, Any]) -> dict[str, str]:
    """What a variant holds, by the names of a case."""
    stock = {stock_field(place): str(quantity) for place, quantity in doc["_levels"].items()}
    return {"price": doc["price"], "sku": doc["sku"] or "", "barcode": doc["barcode"] or "", **stock}


def customer_values(doc: dict[str, Any]) -> dict[str, str]:
    """What a customer holds, by the names of a case."""
    return {
        "name": f"{doc['lastName'] or ''} {doc['firstName'] or ''}".strip(),
        "phone": (doc["defaultPhoneNumber"] or {}).get("phoneNumber", ""),
        "email": (doc["defaultEmailAddress"] or {}).get("emailAddress", ""),
    }
