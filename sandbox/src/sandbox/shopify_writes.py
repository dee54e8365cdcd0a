"""Shopify's mutations. The whole operation runs in one transaction; business errors are userErrors under HTTP 200."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo

from sandbox import ids
from sandbox.connections import MAX_FIRST, bad_request
from sandbox.exchange import Item
from sandbox.shopify_customers import RESOLVERS as CUSTOMER_RESOLVERS
from sandbox.shopify_inventory import RESOLVERS as INVENTORY_RESOLVERS
from sandbox.shopify_metafields import set_all
from sandbox.shopify_reads import Context
from sandbox.shopify_records import money, touched
from sandbox.state import Doc, Record, count_write, get, put

UserErrors = list[dict[str, Any]]


def _problem(index: int, code: str, message: str, *field: str) -> dict[str, Any]:
    return {"field": ["variants", str(index), *field], "code": code, "message": message}


def _amount(value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _changed(record: Record, variant: dict[str, Any], index: int, errors: UserErrors) -> Doc:
    """The variant's document with the input's fields; what is wrong with them goes to `errors`."""
    doc = dict(record.doc)
    for name in ("price", "compareAtPrice"):
        if variant.get(name) is None:
            if name == "compareAtPrice" and name in variant:
                doc[name] = None
            continue
        amount = _amount(variant[name])
        if amount is None:
            errors.append(_problem(index, "INVALID_VALUE", f"{name} is not a number", name))
        elif amount < 0:
            message = "Price must be greater than or equal to 0"
            errors.append(_problem(index, "NEGATIVE_PRICE_VALUE", message, name))
        else:
            doc[name] = money(amount)
    if variant.get("inventoryQuantities"):
        message = "Inventory quantities can only be provided during create."
        code = "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
        errors.append(_problem(index, code, message, "inventoryQuantities"))
    if len(variant.get("barcode") or "") > 255:
        errors.append(_problem(index, "TOO_LONG", "Barcode is too long (maximum is 255 characters)", "barcode"))
    for name in ("barcode", "inventoryPolicy", "taxable"):
        if name in variant:
            doc[name] = variant[name]
    item = variant.get("inventoryItem") or {}
    for name, key in (("sku", "sku"), ("tracked", "_tracked"), ("cost", "_cost")):
        if name in item:
            doc[key] = item[name]
    return doc


def _variant_record(
    context: Context, product: int, variant: dict[str, Any], index: int, errors: UserErrors
) -> Record | None:
    if variant.get("id") is None:
        errors.append(_problem(index, "PRODUCT_VARIANT_ID_MISSING", "Product variant is missing ID attribute"))
        return None
    number = ids.number(variant["id"], "ProductVariant")
    record = get(context.database, context.shop.key, "variant", number) if number is not None else None
    if record is None:
        errors.append(_problem(index, "PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist", "id"))
        return None
    if record.doc["_product"] != product:
        message = "Product variant does not belong to this product"
        errors.append(_problem(index, "MUST_BE_FOR_THIS_PRODUCT", message, "id"))
        return None
    return record


def update_variants(
    _root: Any,
    info: GraphQLResolveInfo,
    productId: str,
    variants: list[dict[str, Any]],
    allowPartialUpdates: bool = False,
) -> Doc:
    """productVariantsBulkUpdate: without allowPartialUpdates one error stops all."""
    context: Context = info.context
    if len(variants) > MAX_FIRST:
        raise bad_request(
            f"The input array size of {len(variants)} is greater than the maximum allowed of {MAX_FIRST}."
        )
    number = ids.number(productId, "Product")
    product = get(context.database, context.shop.key, "product", number) if number is not None else None
    if product is None or number is None:
        error = {
            "field": ["productId"],
            "code": "PRODUCT_DOES_NOT_EXIST",
            "message": "Product does not exist",
        }
        _note(context, variants, dict.fromkeys(range(len(variants)), "PRODUCT_DOES_NOT_EXIST"), all_or_none=True)
        return {"product": None, "productVariants": None, "userErrors": [error]}
    errors: UserErrors = []
    changed: dict[int, Record] = {}
    for index, variant in enumerate(variants):
        own: UserErrors = []
        record = _variant_record(context, number, variant, index, own)
        doc = _changed(record, variant, index, own) if record else {}
        if record and not own and variant.get("metafields"):
            wanted = [{**field, "ownerId": variant["id"]} for field in variant["metafields"]]
            _, problems = set_all(context, wanted)
            own += [_problem(index, "INVALID_VALUE", p["message"], "metafields") for p in problems]
        errors += own
        if record and not own:
            new = msgspec.structs.replace(record, doc=doc, code=doc["sku"], barcode=doc["barcode"])
            changed[index] = touched(new, context.now)
    if errors and not allowPartialUpdates:
        changed = {}
    put(context.database, context.shop.key, list(changed.values()))
    if changed:
        put(context.database, context.shop.key, [touched(product, context.now)])
        count_write(context.database, context.shop.key, "productVariantsBulkUpdate", len(changed))
    _note(
        context,
        variants,
        {int(error["field"][1]): str(error["code"]) for error in errors},
        all_or_none=not allowPartialUpdates,
    )
    return {
        "product": get_doc(context, product.id),
        "productVariants": [record.doc for record in changed.values()] or (None if errors else []),
        "userErrors": errors,
    }


def get_doc(context: Context, product: int) -> Doc | None:
    """The product as it is now."""
    record = get(context.database, context.shop.key, "product", product)
    return record.doc if record else None


def _note(context: Context, variants: list[dict[str, Any]], refused: dict[int, str], *, all_or_none: bool) -> None:
    for index, variant in enumerate(variants):
        outcome = refused.get(index) or ("NOT_ATTEMPTED" if refused and all_or_none else "accepted")
        values = {key: value for key, value in variant.items() if key != "id"}
        context.items.append(
            Item(
                kind="productVariantsBulkUpdate",
                id=str(variant.get("id")),
                outcome=outcome,
                values=values,
            )
        )


def set_metafields(_root: Any, info: GraphQLResolveInfo, metafields: list[dict[str, Any]]) -> Doc:
    """metafieldsSet: at most 25, all or none."""
    context: Context = info.context
    written, errors = set_all(context, metafields)
    bad = {error["elementIndex"]: error["code"] for error in errors}
    for index, metafield in enumerate(metafields):
        outcome = str(bad.get(index, "NOT_ATTEMPTED")) if errors else "accepted"
        name = f"{metafield.get('namespace')}.{metafield['key']}"
        values = {"name": name, "value": metafield["value"]}
        context.items.append(Item(kind="metafieldsSet", id=metafield["ownerId"], outcome=outcome, values=values))
    if written:
        count_write(context.database, context.shop.key, "metafieldsSet", len(written))
    return {"metafields": None if errors else written, "userErrors": errors}


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.productVariantsBulkUpdate": update_variants,
    "Mutation.metafieldsSet": set_metafields,
    **INVENTORY_RESOLVERS,
    **CUSTOMER_RESOLVERS,
}
