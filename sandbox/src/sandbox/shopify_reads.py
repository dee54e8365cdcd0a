"""Resolvers of Shopify's queries. Documents come from the state as they are; what hangs on them is resolved here."""

import hashlib
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo, GraphQLSchema

from sandbox import ids
from sandbox.connections import of_list, of_records
from sandbox.exchange import Item
from sandbox.search import parse
from sandbox.shopify_records import CURRENCY, display_name
from sandbox.shops import Shop
from sandbox.state import FIRST_RECORDS, Doc, count, find, get

KINDS = {"Product": "product", "ProductVariant": "variant", "Customer": "customer", "Location": "location"}
DEFAULT_NAMESPACE = "app--jobtrail-sandbox"


class Context(msgspec.Struct, kw_only=True):
    """One operation: its shop, its transaction, its time (unix seconds), the items it wrote, search warnings."""

    shop: Shop
    database: sqlite3.Connection
    now: int
    items: list[Item]
    warnings: list[dict[str, str]]


def doc_of(context: Context, gid: str, *types: str) -> Doc | None:
    """The object with a global id, when it is of one of `types` (or of any type when none is given)."""
    found = ids.parse(gid)
    if found is None or (types and found[0] not in types):
        return None
    kind, number = found
    if kind == "InventoryItem":
        record = get(context.database, context.shop.key, "variant", number - ids.ITEM_OFFSET)
        return item_of(record.doc) if record else None
    if kind == "Metafield":
        record = get(context.database, context.shop.key, "metafield", number)
    elif kind in KINDS:
        record = get(context.database, context.shop.key, KINDS[kind], number)
    else:
        return shop_doc(context) if kind == "Shop" and number == 1 else None
    return record.doc if record else None


def item_of(variant: Doc) -> Doc:
    """A variant's inventory item."""
    number = variant["_number"] + ids.ITEM_OFFSET
    cost = variant["_cost"]
    return {
        "__typename": "InventoryItem",
        "id": ids.gid("InventoryItem", number),
        "legacyResourceId": str(number),
        "sku": variant["sku"],
        "tracked": variant["_tracked"],
        "requiresShipping": True,
        "unitCost": {"amount": cost, "currencyCode": CURRENCY} if cost else None,
        "createdAt": variant["createdAt"],
        "updatedAt": variant["updatedAt"],
        "_variant": variant,
    }


def shop_doc(context: Context) -> Doc:
    """The shop object."""
    slug = context.shop.key.partition(":")[2]
    domain = f"{slug}.myshopify.com"
    return {
        "__typename": "Shop",
        "id": ids.gid("Shop", 1),
        "name": context.shop.account,
        "email": f"owner@{slug}.example.com",
        "currencyCode": context.shop.shopify.currency,
        "ianaTimezone": "Asia/Ho_Chi_Minh",
        "timezoneOffset": "+0700",
        "myshopifyDomain": domain,
        "url": f"https://{domain}",
        "primaryDomain": {
            "id": ids.gid("Domain", 1),
            "host": domain,
            "sslEnabled": True,
            "url": f"https://{domain}",
        },
        "plan": {"partnerDevelopment": True, "publicDisplayName": "Development", "shopifyPlus": False},
    }


def _listing(kind: str) -> Callable[..., Doc]:
    def resolve(_root: Any, info: GraphQLResolveInfo, **args: Any) -> Doc:
        context: Context = info.context
        where, params = "1", ()
        end = context.shop.shopify.lists_end_after if kind in {"product", "customer"} else None
        if end is not None:
            where, params = FIRST_RECORDS, (context.shop.key, kind, end)
        return of_records(
            context.database, context.shop.key, kind, args, where=where, params=params, warn=context.warnings.extend
        )

    return resolve


def _counting(kind: str) -> Callable[..., Doc]:
    def resolve(_root: Any, info: GraphQLResolveInfo, **args: Any) -> Doc:
        context: Context = info.context
        search = parse(kind, args.get("query"))
        return {
            "count": count(context.database, context.shop.key, kind, search.sql, search.params),
            "precision": "EXACT",
        }

    return resolve


def _single(kind: str) -> Callable[..., Doc | None]:
    def resolve(_root: Any, info: GraphQLResolveInfo, id: str) -> Doc | None:
        return doc_of(info.context, id, kind)

    return resolve


def _variants(product: Doc, info: GraphQLResolveInfo, **args: Any) -> Doc:
    context: Context = info.context
    own = ("parent = ?", (str(product["_number"]),))
    return of_records(context.database, context.shop.key, "variant", args, where=own[0], params=own[1])


def _product_units(product: Doc, info: GraphQLResolveInfo) -> list[Doc]:
    context: Context = info.context
    owner = str(product["_number"])
    return [r.doc for r in find(context.database, context.shop.key, "variant", "parent = ?", (owner,))]


def quantity_of(variant: Doc) -> int:
    """What a variant has available in all locations together."""
    return sum(variant["_levels"].values())


def level_of(variant: Doc, location: int) -> Doc | None:
    """The inventory level of a variant's item at a location, when the item is stocked there."""
    if str(location) not in variant["_levels"]:
        return None
    item = variant["_number"] + ids.ITEM_OFFSET
    return {
        "__typename": "InventoryLevel",
        "id": ids.gid("InventoryLevel", f"{location}?inventory_item_id={item}"),
        "isActive": True,
        "createdAt": variant["createdAt"],
        "updatedAt": variant["updatedAt"],
        "_variant": variant,
        "_location": location,
    }


def _levels(item: Doc, _info: GraphQLResolveInfo, **args: Any) -> Doc:
    variant = item["_variant"]
    return of_list([level for at in variant["_levels"] if (level := level_of(variant, int(at)))], args)


def _level(item: Doc, _info: GraphQLResolveInfo, **args: Any) -> Doc | None:
    location = ids.number(args["locationId"], "Location")
    return level_of(item["_variant"], location) if location is not None else None


def _quantities(level: Doc, _info: GraphQLResolveInfo, names: list[str]) -> list[Doc]:
    available = level["_variant"]["_levels"][str(level["_location"])]
    known = {"available": available, "on_hand": available, "committed": 0, "incoming": 0, "reserved": 0}
    number = f"{level['_location']}"
    return [
        {
            "id": ids.gid("InventoryQuantity", f"{number}?name={name}"),
            "name": name,
            "quantity": known.get(name, 0),
            "updatedAt": level["updatedAt"],
        }
        for name in names
    ]


def _location(_root: Any, info: GraphQLResolveInfo, **args: Any) -> Doc | None:
    context: Context = info.context
    if args.get("id"):
        return doc_of(context, args["id"], "Location")
    first = find(context.database, context.shop.key, "location", limit=1)
    return first[0].doc if first else None


def _metafield(owner: Doc, info: GraphQLResolveInfo, key: str, namespace: str | None = None) -> Doc | None:
    context: Context = info.context
    code = f"{namespace or DEFAULT_NAMESPACE}.{key}"
    found = find(context.database, context.shop.key, "metafield", "parent = ? AND code = ?", (owner["id"], code))
    return found[0].doc if found else None


def _metafields(owner: Doc, info: GraphQLResolveInfo, **args: Any) -> Doc:
    context: Context = info.context
    keys, namespace = args.get("keys"), args.get("namespace")
    if keys and namespace is None:
        keys = [key if "." in key else f"{DEFAULT_NAMESPACE}.{key}" for key in keys]

    def fits(doc: Doc) -> bool:
        full = f"{doc['namespace']}.{doc['key']}"
        named = keys is None or full in keys or (namespace is not None and doc["key"] in keys)
        return named and namespace in (None, doc["namespace"])

    own = find(context.database, context.shop.key, "metafield", "parent = ?", (owner["id"],))
    return of_list([record.doc for record in own], args, fits)


def digest_of(value: str) -> str:
    """A metafield's compareDigest."""
    return hashlib.sha256(value.encode()).hexdigest()


RESOLVERS: dict[str, Callable[..., Any]] = {
    "QueryRoot.shop": lambda _root, info: shop_doc(info.context),
    "QueryRoot.node": lambda _root, info, id: doc_of(info.context, id),
    "QueryRoot.nodes": lambda _root, info, ids: [doc_of(info.context, one) for one in ids],
    "QueryRoot.location": _location,
    "QueryRoot.locations": _listing("location"),
    "QueryRoot.product": _single("Product"),
    "QueryRoot.products": _listing("product"),
    "QueryRoot.productsCount": _counting("product"),
    "QueryRoot.productVariant": _single("ProductVariant"),
    "QueryRoot.productVariants": _listing("variant"),
    "QueryRoot.inventoryItem": _single("InventoryItem"),
    "QueryRoot.customer": _single("Customer"),
    "QueryRoot.customers": _listing("customer"),
    "QueryRoot.customersCount": _counting("customer"),
    "Product.variants": _variants,
    "Product.variantsCount": lambda product, info: {
        "count": len(_product_units(product, info)),
        "precision": "EXACT",
    },
    "Product.totalInventory": lambda product, info: sum(quantity_of(unit) for unit in _product_units(product, info)),
    "ProductVariant.product": lambda variant, info: doc_of(info.context, ids.gid("Product", variant["_product"])),
    "ProductVariant.inventoryItem": lambda variant, _info: item_of(variant),
    "ProductVariant.inventoryQuantity": lambda variant, _info: quantity_of(variant),
    "ProductVariant.sellableOnlineQuantity": lambda variant, _info: quantity_of(variant),
    "InventoryItem.inventoryLevel": _level,
    "InventoryItem.inventoryLevels": _levels,
    "InventoryItem.locationsCount": lambda item, _info: {
        "count": len(item["_variant"]["_levels"]),
        "precision": "EXACT",
    },
    "InventoryItem.variants": lambda item, _info, **args: of_list([item["_variant"]], args),
    "InventoryLevel.item": lambda level, _info: item_of(level["_variant"]),
    "InventoryLevel.location": lambda level, info: doc_of(info.context, ids.gid("Location", level["_location"])),
    "InventoryLevel.quantities": _quantities,
    "Customer.displayName": lambda customer, _info: display_name(customer),
    "Customer.amountSpent": lambda customer, info: {
        **customer["amountSpent"],
        "currencyCode": info.context.shop.shopify.currency,
    },
    "Customer.addressesV2": lambda customer, _info, **args: of_list(customer["_addresses"], args),
    "Customer.defaultAddress": lambda customer, _info: next(iter(customer["_addresses"]), None),
    "CustomerEmailAddress.validFormat": lambda email, _info: "@" in email["emailAddress"],
    "MailingAddress.name": lambda address, _info: " ".join(
        part for part in (address["firstName"], address["lastName"]) if part
    ),
    "Metafield.compareDigest": lambda metafield, _info: digest_of(metafield["value"]),
    "Metafield.jsonValue": lambda metafield, _info: (
        msgspec.json.decode(metafield["value"]) if metafield["type"] == "json" else metafield["value"]
    ),
    "Metafield.owner": lambda metafield, info: doc_of(info.context, metafield["_owner"]),
}


def attach(schema: GraphQLSchema, resolvers: dict[str, Callable[..., Any]]) -> None:
    """Give the schema's fields their resolvers. Raises KeyError for a field that the schema does not have."""
    for name, resolver in resolvers.items():
        kind, _, field = name.partition(".")
        schema.type_map[kind].fields[field].resolve = resolver  # pyright: ignore[reportAttributeAccessIssue]
    for kind in ("Shop", "Product", "ProductVariant", "Customer"):
        fields = schema.type_map[kind].fields  # pyright: ignore[reportAttributeAccessIssue]
        fields["metafield"].resolve = _metafield
        fields["metafields"].resolve = _metafields
