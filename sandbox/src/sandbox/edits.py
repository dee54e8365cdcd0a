"""What people do in the platforms' own back offices: change a price, count stock, correct a phone. And what a
test needs to see: every record, and which records of the two sides are the same thing."""

from typing import Any, Literal

import msgspec

from sandbox import nhanh_shelf, shopify_shelf
from sandbox.shops import Shop
from sandbox.state import Doc, Record, State, find, get, put


class UnknownRecord(Exception):
    """There is no such record in the shop."""


class Edit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`set` replaces keys of the platform's own document ("name", "prices" ...); objects are merged. `stock`
    replaces quantities by depot or location id (whole numbers). `at` is the change time (unix seconds)."""

    id: int
    set: dict[str, Any] = {}
    stock: dict[str, int] = {}
    at: int


def _merge(doc: Doc, changes: dict[str, Any]) -> Doc:
    merged = dict(doc)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def apply(state: State, shop: Shop, kind: str, edit: Edit) -> Doc:
    """Change one record as a person would. Raises UnknownRecord. Not counted as a write received."""
    with state.writing() as connection:
        record = get(connection, shop.key, kind, edit.id)
        if record is None:
            raise UnknownRecord(f"{shop.platform} has no {kind} {edit.id}")
        doc = _merge(record.doc, edit.set)
        stock_key = "_stock" if shop.platform == "nhanh" else "_levels"
        if edit.stock:
            doc[stock_key] = {**doc[stock_key], **edit.stock}
        new = _record(shop, kind, record, doc, edit)
        put(connection, shop.key, [new])
    return new.doc


def _record(shop: Shop, kind: str, old: Record, doc: Doc, edit: Edit) -> Record:
    stock_at = edit.at if edit.stock else old.stock_updated_at
    if shop.platform == "nhanh":
        # Stock alone does not move a product's updatedAt.
        at = edit.at if edit.set else old.updated_at
        doc["updatedAt"] = at
        if kind == "customer":
            return nhanh_shelf.customer_of(doc)
        return msgspec.structs.replace(
            old,
            doc=doc,
            code=doc.get("code"),
            barcode=doc.get("barcode"),
            title=doc.get("name"),
            updated_at=at,
            stock_updated_at=stock_at,
        )
    doc["updatedAt"] = shopify_shelf.moment(edit.at)
    if kind == "customer":
        return shopify_shelf.customer_of(doc, edit.at)
    return msgspec.structs.replace(
        old,
        doc=doc,
        code=doc.get("sku"),
        barcode=doc.get("barcode"),
        title=doc.get("title") if kind == "product" else old.title,
        updated_at=edit.at,
        stock_updated_at=stock_at,
    )


def dump(state: State, shop: Shop, kind: str) -> list[Doc]:
    """Every record of a kind as it is stored, by id; keys with an underscore are the sandbox's own."""
    return [record.doc for record in find(state.connection(), shop.key, kind)]


def truth(state: State, nhanh: Shop, shopify: Shop, kind: Literal["product", "customer"]) -> list[dict[str, str]]:
    """Pairs of ids that are the same thing, where the sandbox knows it: seeded shops, and one file on both
    sides. Products pair by what can be sold: a Nhanh product or child, a Shopify variant."""
    other_kind = "variant" if kind == "product" else "customer"
    others: dict[str, Doc] = {}
    for record in find(state.connection(), shopify.key, other_kind):
        if record.doc["_truth"]:
            others[record.doc["_truth"]] = record.doc
    pairs: list[dict[str, str]] = []
    for record in find(state.connection(), nhanh.key, kind):
        other = others.get(record.doc["_truth"] or "")
        if other:
            pairs.append({"nhanh": str(record.id), "shopify": other["id"]})
    return pairs
