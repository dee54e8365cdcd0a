"""Shopify's nodes as the queries give them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from platforms.errors import MalformedRecord
from platforms.records import Product, Stock
from platforms.shopify import records as shopify


def level(location: int, available: int | None) -> dict[str, Any]:
    quantities = [] if available is None else [{"name": "available", "quantity": available}]
    return {"location": {"id": f"gid://shopify/Location/{location}"}, "quantities": quantities}


def variant(number: int, **changes: Any) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": f"gid://shopify/ProductVariant/{number}",
        "title": "Default Title",
        "sku": "",
        "barcode": None,
        "price": "199000.00",
        "compareAtPrice": None,
        "position": 1,
        "inventoryQuantity": 10,
        "updatedAt": "2026-11-01T00:00:00Z",
        "inventoryItem": {
            "id": f"gid://shopify/InventoryItem/{number}",
            "tracked": True,
            "inventoryLevels": {"nodes": [level(1, 7), level(2, 3)]},
        },
    }
    return {**node, **changes}


def product(*variants: dict[str, Any], **changes: Any) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": "gid://shopify/Product/9",
        "title": "ÁO THUN",
        "handle": "ao-thun",
        "status": "ACTIVE",
        "vendor": "",
        "productType": "",
        "description": "Áo\ncotton",
        "tags": [],
        "variants": {"nodes": list(variants)},
    }
    return {**node, **changes}


def customer(**changes: Any) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": "gid://shopify/Customer/5",
        "firstName": "Thuỳ",
        "lastName": "Đặng",
        "displayName": "Thuỳ Đặng",
        "numberOfOrders": "12",
        "state": "ENABLED",
        "updatedAt": "2026-11-01T07:00:00+07:00",
        "amountSpent": {"amount": "1500000.0", "currencyCode": "VND"},
        "defaultEmailAddress": {"emailAddress": "thuy@example.vn"},
        "defaultPhoneNumber": {"phoneNumber": "+84912345678"},
        "addressesV2": {
            "nodes": [
                {"address1": None, "address2": "", "city": None, "phone": "0987.654.321"},
                {"address1": "12 Lê Lợi", "address2": "P. 3", "city": "Huế", "phone": "0912345678"},
            ]
        },
    }
    return {**node, **changes}


def test_a_product_with_variants_items_and_levels() -> None:
    old = variant(2, title="XL / đỏ", sku="AO-XL", compareAtPrice="250000.00")
    record = shopify.product(product(variant(1), old))
    assert record.product == Product(
        product_id="gid://shopify/Product/9", title="ÁO THUN", description="Áo\ncotton", status="active"
    )
    plain, sized = record.variants
    assert (plain.options, plain.sku, sized.options, sized.sku) == (None, None, "XL / đỏ", "AO-XL")
    assert plain.inventory_item_id == "gid://shopify/InventoryItem/1"
    assert plain.places == (
        Stock("gid://shopify/Location/1", Decimal(7)),
        Stock("gid://shopify/Location/2", Decimal(3)),
    )
    assert (plain.stock, plain.price, plain.prices) == (Decimal(10), Decimal(199000), {"retail": Decimal(199000)})
    assert sized.prices == {"retail": Decimal(199000), "old": Decimal(250000)}


def test_stock_without_levels_is_the_shops_own_sum() -> None:
    item = {"id": "gid://shopify/InventoryItem/1", "tracked": False, "inventoryLevels": {"nodes": []}}
    (read,) = shopify.product(product(variant(1, inventoryItem=item))).variants
    assert (read.stock, read.places) == (Decimal(10), ())
    silent = {**item, "inventoryLevels": {"nodes": [level(1, None)]}}
    (read,) = shopify.product(product(variant(1, inventoryItem=silent))).variants
    assert read.places == (Stock("gid://shopify/Location/1", None),)


def test_a_customer_with_all_numbers() -> None:
    record = shopify.customer(customer())
    assert (record.name, record.email, record.phone) == ("Thuỳ Đặng", "thuy@example.vn", "+84912345678")
    assert record.phones == ("+84912345678", "+84987654321")
    assert (record.address, record.city) == ("12 Lê Lợi, P. 3", "Huế")
    assert record.totals == {"total_amount": Decimal(1500000), "currency": "VND", "orders": 12, "state": "enabled"}
    assert record.updated_at == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_nameless_customer_is_not_called_by_the_email() -> None:
    nameless = {"firstName": None, "lastName": "", "defaultPhoneNumber": None}
    record = shopify.customer(customer(displayName="thuy@example.vn", **nameless))
    assert (record.name, record.phone) == (None, "0987.654.321")
    bare = shopify.customer({"id": "gid://shopify/Customer/6", "defaultEmailAddress": None, "addressesV2": None})
    assert (bare.name, bare.phones, bare.totals, bare.address) == (None, (), {}, None)


@pytest.mark.parametrize(
    ("node", "field"),
    [
        (product(title=""), "title"),
        (product(id=None), "id"),
        (product(variant(1, price="free")), "variants[0].price"),
        (product(variant(1), variant(2, id="")), "variants[1].id"),
        (product("x"), "variants[0]"),  # pyright: ignore[reportArgumentType]  # wrong on purpose
        (
            product(variant(1, inventoryItem={"inventoryLevels": {"nodes": [{"location": None}]}})),
            "variants[0].inventoryItem.inventoryLevels[0].location.id",
        ),
    ],
)
def test_what_is_wrong_with_which_field(node: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        shopify.product(node)
    assert caught.value.field == field


def test_what_is_wrong_with_a_customer() -> None:
    with pytest.raises(MalformedRecord, match=r"^addressesV2\[0\]\.phone: "):
        shopify.customer(customer(addressesV2={"nodes": [{"phone": {"a": 1}}]}))
    with pytest.raises(MalformedRecord, match=r"^numberOfOrders: "):
        shopify.customer(customer(numberOfOrders="12.5"))
