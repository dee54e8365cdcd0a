"""Edits as a person makes them in a platform's back office: change a price, add a customer, delete a product. And
the records themselves, with the pairs that are the same thing."""

import sqlite3
from typing import Any, Literal

import msgspec

from sandbox import ids, nhanh_orders, nhanh_records, shopify_records
from sandbox.articles import Article, Person
from sandbox.nhanh_orders import Bill, Order
from sandbox.shops import Shop
from sandbox.state import Doc, Record, State, find, get, put

# What lies below a record and goes with it: (platform, kind) -> kind of the children.
_CHILDREN = {("nhanh", "product"): "product", ("shopify", "product"): "variant"}
# The places where stock lies: (platform, kind) -> what stocks it, under which key of its document.
_STOCKED = {("nhanh", "depot"): ("product", "_stock"), ("shopify", "location"): ("variant", "_levels")}

_PLACES = {"nhanh": "depot", "shopify": "location"}
_OWNERS = {"product": "Product", "variant": "ProductVariant", "customer": "Customer"}


class UnknownRecord(Exception):
    """There is no such record in the shop."""


class RecordExists(Exception):
    """The shop has a record with this id already."""


class Edit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`set` replaces keys of the platform's own document ("name", "prices" ...); objects are merged. `stock`
    replaces quantities by depot or location id (whole numbers). `at` is the change time (unix seconds); None = now, by
    the shop's clock."""

    id: int
    set: dict[str, Any] = {}
    stock: dict[str, int] = {}
    at: int | None = None


def _merge(doc: Doc, changes: dict[str, Any]) -> Doc:
    merged = dict(doc)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def apply(state: State, shop: Shop, kind: str, edit: Edit, now: int) -> Doc:
    """Change one record as a person would. now: by the shop's clock. Raises UnknownRecord. Not counted as a write
    received."""
    at = now if edit.at is None else edit.at
    with state.writing() as connection:
        record = get(connection, shop.key, kind, edit.id)
        if record is None:
            raise UnknownRecord(f"{shop.platform} has no {kind} {edit.id}")
        doc = _merge(record.doc, edit.set)
        stock_key = "_stock" if shop.platform == "nhanh" else "_levels"
        if edit.stock:
            doc[stock_key] = {**doc[stock_key], **edit.stock}
        new = _record(shop, kind, record, doc, edit, at)
        put(connection, shop.key, [new])
        if (shop.platform, kind) == ("shopify", "variant"):
            put(connection, shop.key, shopify_records.touched_products(connection, shop.key, [new], at))
    return new.doc


def _record(shop: Shop, kind: str, old: Record, doc: Doc, edit: Edit, at: int) -> Record:
    stock_at = at if edit.stock else old.stock_updated_at
    if shop.platform == "nhanh":
        if kind == "order":
            doc["info"] = {**doc["info"], "updatedAt": at}
        if kind in nhanh_orders.RECORDS:
            return nhanh_orders.RECORDS[kind](doc)
        # Stock alone does not move a product's updatedAt.
        at = at if edit.set else old.updated_at
        doc["updatedAt"] = at
        if kind == "customer":
            return nhanh_records.customer_of(doc)
        return msgspec.structs.replace(
            old,
            doc=doc,
            code=doc.get("code"),
            barcode=doc.get("barcode"),
            title=doc.get("name"),
            updated_at=at,
            stock_updated_at=stock_at,
        )
    doc["updatedAt"] = shopify_records.moment(at)
    if kind == "customer":
        return shopify_records.customer_of(doc, at)
    return msgspec.structs.replace(
        old,
        doc=doc,
        code=doc.get("sku"),
        barcode=doc.get("barcode"),
        title=doc.get("title") if kind == "product" else old.title,
        updated_at=at,
        stock_updated_at=stock_at,
    )


def add(state: State, shop: Shop, new: Article | Person | Order | Bill, now: int) -> Doc:
    """Create one record as a person would. now: by the shop's clock. Raises RecordExists. Not counted as a write
    received."""
    with state.writing() as connection:
        records = _new_records(connection, shop, new, now)
        for record in records:
            if get(connection, shop.key, record.kind, record.id) is not None:
                raise RecordExists(f"{shop.platform} has {record.kind} {record.id} already")
        put(connection, shop.key, records)
    return records[0].doc


def _new_records(
    connection: sqlite3.Connection, shop: Shop, new: Article | Person | Order | Bill, now: int
) -> list[Record]:
    if isinstance(new, Order):
        return [nhanh_orders.order_record(new, now)]
    if isinstance(new, Bill):
        return [nhanh_orders.bill_record(new, now)]
    if isinstance(new, Article):
        places = [place.id for place in find(connection, shop.key, _PLACES[shop.platform])]
        made = nhanh_records.product_records if shop.platform == "nhanh" else shopify_records.product_records
        return list(made([new], places))
    if shop.platform == "nhanh":
        return [nhanh_records.customer_record(new)]
    others = find(connection, shop.key, "customer")
    taken = {one.phone for one in others if one.phone}, {one.email for one in others if one.email}
    return list(shopify_records.customer_records([new], *taken))


class Replacement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A variant that is deleted and created again: the number of the new one, and when (unix seconds)."""

    id: int
    at: int


def replace_variant(state: State, shop: Shop, number: int, new: Replacement) -> Doc:
    """Delete a variant and create it again with new ids, its inventory item's too; everything else stays.

    Raises UnknownRecord, RecordExists. Metafields do not come back.
    """
    with state.writing() as connection:
        record = get(connection, shop.key, "variant", number)
        if record is None:
            raise UnknownRecord(f"{shop.platform} has no variant {number}")
        if get(connection, shop.key, "variant", new.id) is not None:
            raise RecordExists(f"{shop.platform} has variant {new.id} already")
        _delete(connection, shop, "variant", number)
        moment = shopify_records.moment(new.at)
        named = {"id": ids.gid("ProductVariant", new.id), "legacyResourceId": str(new.id), "_number": new.id}
        doc = {**record.doc, **named, "createdAt": moment, "updatedAt": moment}
        made = msgspec.structs.replace(record, id=new.id, doc=doc, updated_at=new.at, stock_updated_at=new.at)
        put(connection, shop.key, [made, *shopify_records.touched_products(connection, shop.key, [made], new.at)])
    return doc


def remove(state: State, shop: Shop, kind: str, number: int, now: int) -> None:
    """Delete one record, with the variants of a product. now: by the shop's clock. Raises UnknownRecord.

    A depot or location takes its stock with it. The product of a deleted variant changes; a deleted order or bill is
    listed as such.
    """
    with state.writing() as connection:
        old = get(connection, shop.key, kind, number)
        if old is None:
            raise UnknownRecord(f"{shop.platform} has no {kind} {number}")
        _delete(connection, shop, kind, number)
        if kind in nhanh_orders.RECORDS:
            put(connection, shop.key, [nhanh_orders.deletion(kind, number, now)])
        if (shop.platform, kind) == ("shopify", "variant"):
            put(connection, shop.key, shopify_records.touched_products(connection, shop.key, [old], now))
        children = _CHILDREN.get((shop.platform, kind))
        if children:
            for child in find(connection, shop.key, children, "parent = ?", (str(number),)):
                _delete(connection, shop, children, child.id)
        if (shop.platform, kind) in _STOCKED:
            stocked, key = _STOCKED[shop.platform, kind]
            for record in find(connection, shop.key, stocked):
                levels = {place: quantity for place, quantity in record.doc[key].items() if place != str(number)}
                put(connection, shop.key, [msgspec.structs.replace(record, doc={**record.doc, key: levels})])


def _delete(connection: sqlite3.Connection, shop: Shop, kind: str, number: int) -> None:
    row = (shop.key, kind, number)
    connection.execute("DELETE FROM records WHERE shop = ? AND kind = ? AND id = ?", row)
    if shop.platform == "shopify" and kind in _OWNERS:
        metafields = (shop.key, ids.gid(_OWNERS[kind], number))
        connection.execute("DELETE FROM records WHERE shop = ? AND kind = 'metafield' AND parent = ?", metafields)


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
