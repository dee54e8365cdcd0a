"""Metafields: typed values that hang on products, variants and customers."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from sandbox import ids
from sandbox.shopify_reads import DEFAULT_NAMESPACE, Context, digest_of, doc_of
from sandbox.shopify_records import moment
from sandbox.state import Doc, Record, find, next_id, put

MAX_PER_CALL = 25
FIRST = 30_500_000_000_000
_NAMESPACE = re.compile(r"[A-Za-z0-9_$:-]{2,255}")
_KEY = re.compile(r"[A-Za-z0-9_-]{2,64}")


def _integer(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,16}", value) is not None


def _decimal(value: str) -> bool:
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _json(value: str) -> bool:
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError:
        return False
    return True


def _money(value: str) -> bool:
    if not _json(value):
        return False
    found = msgspec.json.decode(value)
    return isinstance(found, dict) and {"amount", "currency_code"} <= set(found)


TYPES = {
    "single_line_text_field": lambda value: "\n" not in value and bool(value.strip()),
    "multi_line_text_field": lambda value: bool(value.strip()),
    "number_integer": _integer,
    "number_decimal": _decimal,
    "boolean": lambda value: value in {"true", "false"},
    "date": lambda value: re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None,
    "date_time": lambda value: re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", value) is not None,
    "json": _json,
    "money": _money,
}


def _problem(index: int | None, code: str, message: str, *field: str) -> dict[str, Any]:
    path = ["metafields"] if index is None else ["metafields", str(index), *field]
    return {"field": path, "code": code, "message": message, "elementIndex": index}


def _stale(wanted: dict[str, Any], known: Doc | None) -> bool:
    """compareDigest: null says that it must not exist yet, a digest what it must be now, absence nothing."""
    if "compareDigest" not in wanted:
        return False
    return wanted["compareDigest"] != (digest_of(known["value"]) if known else None)


def _check(context: Context, index: int, wanted: dict[str, Any], known: Doc | None) -> dict[str, Any] | None:
    owner = doc_of(context, wanted["ownerId"], "Product", "ProductVariant", "Customer", "Shop")
    kind = str(wanted.get("type") or (known["type"] if known else ""))
    usable = kind in TYPES and (known is None or known["type"] == kind)
    value = wanted["value"]
    problems = (
        (owner is None, "INVALID", "Owner does not exist.", "ownerId"),
        (
            not _NAMESPACE.fullmatch(wanted.get("namespace") or DEFAULT_NAMESPACE),
            "INVALID",
            "Namespace is invalid.",
            "namespace",
        ),
        (not _KEY.fullmatch(wanted["key"]), "INVALID", "Key is invalid.", "key"),
        (not kind, "BLANK", "Type can't be blank.", "type"),
        (not usable, "INVALID_TYPE", f"Type {kind!r} can't be used here.", "type"),
        (value == "", "BLANK", "Value can't be blank.", "value"),
        (usable and not TYPES[kind](value), "INVALID_VALUE", f"Value is not of type {kind}.", "value"),
        (_stale(wanted, known), "STALE_OBJECT", "The resource has been updated since it was loaded.", ""),
    )
    for wrong, code, message, field in problems:
        if wrong:
            return _problem(index, code, message, *([field] if field else []))
    return None


def set_all(context: Context, wanted: list[dict[str, Any]]) -> tuple[list[Doc], list[dict[str, Any]]]:
    """Write all metafields or none: (written documents, userErrors). Unchanged values are written as well."""
    if len(wanted) > MAX_PER_CALL:
        message = f"Exceeded the maximum metafields input limit of {MAX_PER_CALL}."
        return [], [_problem(None, "LESS_THAN_OR_EQUAL_TO", message)]
    shop, database = context.shop.key, context.database
    found: list[Record | None] = []
    for one in wanted:
        code = f"{one.get('namespace') or DEFAULT_NAMESPACE}.{one['key']}"
        where = "parent = ? AND code = ?"
        rows = find(database, shop, "metafield", where, (one["ownerId"], code), limit=1)
        found.append(rows[0] if rows else None)
    checked = [
        _check(context, index, one, known.doc if known else None)
        for index, (one, known) in enumerate(zip(wanted, found, strict=True))
    ]
    errors = [problem for problem in checked if problem]
    if errors:
        return [], errors
    written: list[Doc] = []
    for one, known in zip(wanted, found, strict=True):
        number = known.id if known else next_id(database, shop, "metafield", FIRST)
        namespace = one.get("namespace") or DEFAULT_NAMESPACE
        doc: Doc = {
            "__typename": "Metafield",
            "id": ids.gid("Metafield", number),
            "legacyResourceId": str(number),
            "namespace": namespace,
            "key": one["key"],
            "type": one.get("type") or (known.doc["type"] if known else None),
            "value": one["value"],
            "createdAt": known.doc["createdAt"] if known else moment(context.now),
            "updatedAt": moment(context.now),
            "_owner": one["ownerId"],
        }
        record = Record(
            kind="metafield",
            id=number,
            doc=doc,
            parent=one["ownerId"],
            code=f"{namespace}.{one['key']}",
            updated_at=context.now,
        )
        put(database, shop, [record])
        written.append(doc)
    return written, []
