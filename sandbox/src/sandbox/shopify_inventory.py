"""inventorySetQuantities: absolute stock with compare-and-set, repeatable by its idempotency key.

All quantities of one call are written or none: the schema says that "the mutation fails" when one is stale. The
`@idempotent` directive is required since 2026-04; the wording of the error when it is missing is not published.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo, get_directive_values

from sandbox import ids
from sandbox.connections import MAX_FIRST, bad_request
from sandbox.exchange import Item
from sandbox.shopify_reads import Context, doc_of
from sandbox.shopify_records import moment, touched, touched_products
from sandbox.state import Doc, Record, count_write, get, put

MUTATION = "inventorySetQuantities"
REASONS = frozenset(
    {
        "correction",
        "cycle_count_available",
        "damaged",
        "movement_created",
        "movement_updated",
        "movement_received",
        "movement_canceled",
        "other",
        "promotion",
        "quality_control",
        "received",
        "reservation_created",
        "reservation_deleted",
        "reservation_updated",
        "restock",
        "safety_stock",
        "shrinkage",
    }
)
MOST = 1_000_000_000


def _problem(code: str, message: str, *field: str) -> dict[str, Any]:
    return {"field": ["input", *field], "code": code, "message": message}


def _key(info: GraphQLResolveInfo) -> str:
    directive = next(d for d in info.schema.directives if d.name == "idempotent")
    values = get_directive_values(directive, info.field_nodes[0], info.variable_values)
    if not values:
        raise bad_request(f"The @idempotent directive is required for the {MUTATION} mutation but was not provided.")
    key = str(values["key"])
    if not key.strip() or len(key) > 255:
        raise bad_request("The idempotency key must be 1 to 255 characters and not blank.")
    return key


def set_quantities(_root: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Doc:
    """The resolver: looks the key up, writes once, stores the answer."""
    context: Context = info.context
    key = _key(info)
    quantities = input["quantities"]
    if len(quantities) > MAX_FIRST:
        raise bad_request(
            f"The input array size of {len(quantities)} is greater than the maximum allowed of {MAX_FIRST}."
        )
    for index, quantity in enumerate(quantities):
        if "changeFromQuantity" not in quantity:
            raise bad_request(
                f"input.quantities.{index}.changeFromQuantity must be given explicitly, even when it is null."
            )
    params = hashlib.sha256(msgspec.json.encode(input, order="sorted")).hexdigest()
    row = context.database.execute(
        "SELECT params, answer FROM idempotency WHERE shop = ? AND mutation = ? AND key = ?",
        (context.shop.key, MUTATION, key),
    ).fetchone()
    if row is not None:
        return _again(context, quantities, key, row["answer"] if row["params"] == params else None)
    group, errors = _apply(context, input)
    answer = {"inventoryAdjustmentGroup": group, "userErrors": errors}
    context.database.execute(
        "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
        (context.shop.key, MUTATION, key, params, msgspec.json.encode(answer).decode()),
    )
    refused = {e["field"][2]: e["code"] for e in errors if len(e["field"]) > 2}
    for index, quantity in enumerate(quantities):
        outcome = str(refused.get(str(index), "NOT_ATTEMPTED")) if errors else "accepted"
        _note(context, quantity, key, outcome)
    return answer


def _again(context: Context, quantities: list[dict[str, Any]], key: str, answer: str | None) -> Doc:
    """The answer to a key that was used before; None stands for other parameters."""
    if answer is None:
        code = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
        message = "The same idempotency key cannot be used with different operation parameters."
    else:
        known: Doc = msgspec.json.decode(answer)
        if not known["userErrors"]:
            for quantity in quantities:
                _note(context, quantity, key, "replayed")
            return known
        code = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
        message = "A previous request with this idempotency key failed. Retry with a new idempotency key."
    for quantity in quantities:
        _note(context, quantity, key, code)
    problem = {"field": None, "code": code, "message": message}
    return {"inventoryAdjustmentGroup": None, "userErrors": [problem]}


def _note(context: Context, quantity: dict[str, Any], key: str, outcome: str) -> None:
    values = {name: quantity[name] for name in ("locationId", "quantity", "changeFromQuantity")}
    context.items.append(
        Item(kind=MUTATION, id=quantity["inventoryItemId"], outcome=outcome, values=values, idempotency_key=key)
    )


def _whole(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    errors: list[dict[str, Any]] = []
    if wanted["name"] not in {"available", "on_hand"}:
        message = "The quantity name must be either 'available' or 'on_hand'."
        errors.append(_problem("INVALID_NAME", message, "name"))
    if wanted["reason"] not in REASONS:
        errors.append(_problem("INVALID_REASON", "The specified reason is invalid.", "reason"))
    if wanted.get("referenceDocumentUri") and "://" not in wanted["referenceDocumentUri"]:
        message = "The specified reference document is invalid."
        errors.append(_problem("INVALID_REFERENCE_DOCUMENT", message, "referenceDocumentUri"))
    return errors


def _apply(context: Context, wanted: dict[str, Any]) -> tuple[Doc | None, list[dict[str, Any]]]:
    errors = _whole(wanted)
    records: dict[int, Record] = {}
    changes: list[Doc] = []
    seen: set[tuple[str, str]] = set()
    for index, quantity in enumerate(wanted["quantities"]):
        place = ("quantities", str(index))
        pair = (quantity["inventoryItemId"], quantity["locationId"])
        if pair in seen:
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            message = "The combination of inventoryItemId and locationId must be unique."
            errors.append(_problem(code, message, *place))
            continue
        seen.add(pair)
        item = ids.number(quantity["inventoryItemId"], "InventoryItem")
        number = item - ids.ITEM_OFFSET if item is not None else -1
        record = records.get(number) or get(context.database, context.shop.key, "variant", number)
        if record is None:
            message = "The specified inventory item could not be found."
            errors.append(_problem("INVALID_INVENTORY_ITEM", message, *place, "inventoryItemId"))
            continue
        refused = _refusal(record, quantity)
        if refused:
            code, message, field = refused
            errors.append(_problem(code, message, *place, field))
            continue
        records[number], change = _changed(record, quantity, wanted["name"], context.now)
        changes.append(change)
    if errors:
        return None, errors
    put(context.database, context.shop.key, list(records.values()))
    products = touched_products(context.database, context.shop.key, records.values(), context.now)
    put(context.database, context.shop.key, products)
    count_write(context.database, context.shop.key, MUTATION, len(changes))
    number = f"{context.now}{len(changes)}"
    group: Doc = {
        "__typename": "InventoryAdjustmentGroup",
        "id": ids.gid("InventoryAdjustmentGroup", number),
        "createdAt": moment(context.now),
        "reason": wanted["reason"],
        "referenceDocumentUri": wanted.get("referenceDocumentUri"),
        "_changes": changes,
    }
    return group, []


def _refusal(record: Record, quantity: dict[str, Any]) -> tuple[str, str, str] | None:
    """(code, message, field) of what is wrong with one quantity."""
    before = record.doc["_levels"].get(str(ids.number(quantity["locationId"], "Location")))
    expected = quantity["changeFromQuantity"]
    problems = {
        ("INVALID_LOCATION", "The specified location could not be found.", "locationId"): before is None,
        (
            "NON_MUTABLE_INVENTORY_ITEM",
            "The specified inventory item is not allowed to be adjusted via API.",
            "inventoryItemId",
        ): not record.doc["_tracked"],
        ("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", "quantity"): quantity["quantity"] < 0,
        (
            "INVALID_QUANTITY_TOO_HIGH",
            "The total quantity can't be higher than 1,000,000,000.",
            "quantity",
        ): quantity["quantity"] > MOST,
        (
            "CHANGE_FROM_QUANTITY_STALE",
            "The changeFromQuantity value does not match persisted value.",
            "changeFromQuantity",
        ): expected is not None and expected != before,
    }
    return next((problem for problem, found in problems.items() if found), None)


def _changed(record: Record, quantity: dict[str, Any], name: str, now: int) -> tuple[Record, Doc]:
    """The record with its new level, and the change as the platform reports it."""
    location = str(ids.number(quantity["locationId"], "Location"))
    levels, new = record.doc["_levels"], quantity["quantity"]
    doc = {**record.doc, "_levels": {**levels, location: new}}
    change: Doc = {
        "name": name,
        "delta": new - levels[location],
        "quantityAfterChange": new,
        "_item": quantity["inventoryItemId"],
        "_location": quantity["locationId"],
    }
    return touched(msgspec.structs.replace(record, doc=doc, stock_updated_at=now), now), change


def _changes(group: Doc, _info: GraphQLResolveInfo, **args: Any) -> list[Doc]:
    """Only the changes asked for."""
    return [
        change
        for change in group["_changes"]
        if (not args.get("inventoryItemIds") or change["_item"] in args["inventoryItemIds"])
        and (not args.get("locationIds") or change["_location"] in args["locationIds"])
        and (not args.get("quantityNames") or change["name"] in args["quantityNames"])
    ]


RESOLVERS: dict[str, Callable[..., Any]] = {
    f"Mutation.{MUTATION}": set_quantities,
    "InventoryAdjustmentGroup.changes": _changes,
    "InventoryChange.item": lambda change, info: doc_of(info.context, change["_item"]),
    "InventoryChange.location": lambda change, info: doc_of(info.context, change["_location"]),
}
