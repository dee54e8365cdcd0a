"""Writing to Shopify: userErrors, partial updates, idempotency, uniqueness."""

from typing import Any

import pytest

VARIANTS = """mutation ($id: ID!, $variants: [ProductVariantsBulkInput!]!, $partial: Boolean) {
  productVariantsBulkUpdate(productId: $id, variants: $variants, allowPartialUpdates: $partial) {
    productVariants { id price sku }
    userErrors { field message code }
  }
}"""
QUANTITIES = """mutation ($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id reason changes { delta quantityAfterChange item { id } location { id } } }
    userErrors { field message code }
  }
}"""
METAFIELDS = """mutation ($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) {
    metafields { id key value compareDigest }
    userErrors { field message code elementIndex }
  }
}"""
CUSTOMER = """mutation ($input: CustomerInput!) {
  customerUpdate(input: $input) {
    customer { id firstName defaultPhoneNumber { phoneNumber } defaultEmailAddress { emailAddress } }
    userErrors { field message }
  }
}"""
LOCATION = "gid://shopify/Location/90100000001"


def item_of(variant: Any) -> str:
    return f"gid://shopify/InventoryItem/{400_000_000_000_000_000 + variant['_number']}"


def stock_of(account: Any, variant: Any) -> int:
    docs = {doc["id"]: doc for doc in account.records("shopify", "variant")}
    return docs[variant["id"]]["_levels"]["90100000001"]


def sized(account: Any) -> tuple[str, list[Any]]:
    """A product with several variants."""
    by_product: dict[int, list[Any]] = {}
    for variant in account.records("shopify", "variant"):
        by_product.setdefault(variant["_product"], []).append(variant)
    product, variants = max(by_product.items(), key=lambda pair: len(pair[1]))
    assert len(variants) > 1
    return f"gid://shopify/Product/{product}", variants


def quantity(variant: Any, to: int, change_from: int | None) -> dict[str, Any]:
    return {
        "inventoryItemId": item_of(variant),
        "locationId": LOCATION,
        "quantity": to,
        "changeFromQuantity": change_from,
    }


def set_quantities(account: Any, key: str, *quantities: dict[str, Any]) -> Any:
    wanted = {"name": "available", "reason": "correction", "quantities": list(quantities)}
    return account.graphql(QUANTITIES, input=wanted, key=key)["data"]["inventorySetQuantities"]


def test_partial_updates_write_the_good_ones_and_name_the_bad(account: Any) -> None:
    product, variants = sized(account)
    stranger = next(v for v in account.records("shopify", "variant") if v["_product"] != variants[0]["_product"])
    wanted = [
        {"id": variants[0]["id"], "price": "123000", "inventoryItem": {"sku": "NEW-1"}},
        {"id": variants[1]["id"], "price": "-1"},
        {"id": stranger["id"], "price": "5"},
        {"id": "gid://shopify/ProductVariant/1", "price": "5"},
    ]
    answer = account.graphql(VARIANTS, id=product, variants=wanted, partial=True)["data"]["productVariantsBulkUpdate"]
    assert [(e["field"], e["code"]) for e in answer["userErrors"]] == [
        (["variants", "1", "price"], "NEGATIVE_PRICE_VALUE"),
        (["variants", "2", "id"], "MUST_BE_FOR_THIS_PRODUCT"),
        (["variants", "3", "id"], "PRODUCT_VARIANT_DOES_NOT_EXIST"),
    ]
    assert answer["productVariants"] == [{"id": variants[0]["id"], "price": "123000.00", "sku": "NEW-1"}]
    assert account.facts("shopify")["writes"] == {"productVariantsBulkUpdate": 1}
    items = account.log("shopify", writes=True)[0]["items"]
    assert [item["outcome"] for item in items] == [
        "accepted",
        "NEGATIVE_PRICE_VALUE",
        "MUST_BE_FOR_THIS_PRODUCT",
        "PRODUCT_VARIANT_DOES_NOT_EXIST",
    ]


def test_without_partial_updates_one_error_stops_all(account: Any) -> None:
    product, variants = sized(account)
    wanted = [{"id": variants[0]["id"], "price": "123000"}, {"id": variants[1]["id"], "price": "-1"}]
    answer = account.graphql(VARIANTS, id=product, variants=wanted)["data"]["productVariantsBulkUpdate"]
    assert len(answer["userErrors"]) == 1
    assert account.facts("shopify")["writes"] == {}
    stocked = [{"id": variants[0]["id"], "inventoryQuantities": [{"availableQuantity": 1, "locationId": LOCATION}]}]
    refused = account.graphql(VARIANTS, id=product, variants=stocked)["data"]["productVariantsBulkUpdate"]
    assert refused["userErrors"][0]["code"] == "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
    nobody = account.graphql(VARIANTS, id="gid://shopify/Product/1", variants=wanted)
    assert nobody["data"]["productVariantsBulkUpdate"]["userErrors"][0]["code"] == "PRODUCT_DOES_NOT_EXIST"


def test_quantities_need_a_key_and_an_expectation(account: Any) -> None:
    variant = account.records("shopify", "variant")[0]
    without = QUANTITIES.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    wanted: dict[str, Any] = {"name": "available", "reason": "correction", "quantities": [quantity(variant, 5, None)]}
    answer = account.graphql(without, input=wanted)
    assert "@idempotent directive is required" in answer["errors"][0]["message"]
    del wanted["quantities"][0]["changeFromQuantity"]
    answer = account.graphql(QUANTITIES, input=wanted, key="k")
    assert "changeFromQuantity" in answer["errors"][0]["message"]
    assert account.facts("shopify")["writes"] == {}


def test_the_same_key_writes_once(account: Any) -> None:
    variant = account.records("shopify", "variant")[0]
    before = stock_of(account, variant)
    first = set_quantities(account, "key-1", quantity(variant, before + 5, before))
    assert first["userErrors"] == []
    assert first["inventoryAdjustmentGroup"]["changes"][0]["delta"] == 5
    assert set_quantities(account, "key-1", quantity(variant, before + 5, before)) == first
    assert account.facts("shopify")["writes"] == {"inventorySetQuantities": 1}
    other = set_quantities(account, "key-1", quantity(variant, before + 6, before))
    assert other["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert stock_of(account, variant) == before + 5
    logged = [item for entry in account.log("shopify", writes=True) for item in entry["items"]]
    assert [item["outcome"] for item in logged] == ["accepted", "replayed", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert {item["idempotency_key"] for item in logged} == {"key-1"}


def test_one_stale_quantity_fails_the_whole_call_and_spends_the_key(account: Any) -> None:
    one, two = account.records("shopify", "variant")[:2]
    good, stale = stock_of(account, one), stock_of(account, two) + 1
    pair = (quantity(one, good + 1, good), quantity(two, 50, stale))
    answer = set_quantities(account, "key-2", *pair)
    assert answer["inventoryAdjustmentGroup"] is None
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [
        ("CHANGE_FROM_QUANTITY_STALE", ["input", "quantities", "1", "changeFromQuantity"])
    ]
    assert stock_of(account, one) == good
    again = set_quantities(account, "key-2", *pair)
    assert again["userErrors"][0]["code"] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": -1}, "INVALID_QUANTITY_NEGATIVE"),
        ({"quantity": 10**9 + 1}, "INVALID_QUANTITY_TOO_HIGH"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
        ({"inventoryItemId": "gid://shopify/InventoryItem/1"}, "INVALID_INVENTORY_ITEM"),
    ],
)
def test_bad_quantities_are_named(account: Any, changes: Any, code: str) -> None:
    variant = account.records("shopify", "variant")[0]
    answer = set_quantities(account, code, {**quantity(variant, 5, None), **changes})
    assert answer["userErrors"][0]["code"] == code


def test_metafields_are_all_or_none_and_at_most_25(account: Any) -> None:
    owner = account.records("shopify", "customer")[0]["id"]
    good = {"ownerId": owner, "namespace": "nhanh", "key": "points", "type": "number_integer", "value": "7"}

    def write(*metafields: Any) -> Any:
        return account.graphql(METAFIELDS, metafields=list(metafields))["data"]["metafieldsSet"]

    mixed = write(good, {**good, "key": "other", "value": "seven"})
    assert mixed["metafields"] is None
    assert (mixed["userErrors"][0]["elementIndex"], mixed["userErrors"][0]["code"]) == (1, "INVALID_VALUE")
    assert write(*[{**good, "key": f"key_{i}"} for i in range(26)])["userErrors"][0]["code"] == "LESS_THAN_OR_EQUAL_TO"
    assert account.records("shopify", "metafield") == []
    written = write(good)["metafields"][0]
    assert write({**good, "value": "8", "compareDigest": "x"})["userErrors"][0]["code"] == "STALE_OBJECT"
    assert write({**good, "value": "8", "compareDigest": written["compareDigest"]})["userErrors"] == []
    assert [doc["value"] for doc in account.records("shopify", "metafield")] == ["8"]
    assert account.facts("shopify")["writes"] == {"metafieldsSet": 2}
    query = 'query ($id: ID!) { customer(id: $id) { metafield(namespace: "nhanh", key: "points") { value } } }'
    assert account.graphql(query, id=owner)["data"]["customer"]["metafield"] == {"value": "8"}


def test_phones_are_e164_and_unique(account: Any) -> None:
    people = account.records("shopify", "customer")
    taken = next(p for p in people if p["defaultPhoneNumber"])
    mailed = next(p for p in people if p["defaultEmailAddress"] and p is not taken)
    other = next(p for p in people if p is not taken and p is not mailed)

    def update(**fields: Any) -> Any:
        return account.graphql(CUSTOMER, input={"id": other["id"], **fields})["data"]["customerUpdate"]

    assert update(phone="0912345678")["userErrors"] == [{"field": ["phone"], "message": "Phone is invalid"}]
    in_use = update(phone=taken["defaultPhoneNumber"]["phoneNumber"])
    assert in_use["userErrors"] == [{"field": ["phone"], "message": "Phone has already been taken"}]
    mail = update(email=mailed["defaultEmailAddress"]["emailAddress"].upper())
    assert mail["userErrors"] == [{"field": ["email"], "message": "Email has already been taken"}]
    fine = update(phone="+84981112223", firstName="Mới")
    assert fine["userErrors"] == []
    assert fine["customer"]["defaultPhoneNumber"] == {"phoneNumber": "+84981112223"}
    assert account.facts("shopify")["writes"] == {"customerUpdate": 1}


def test_addresses_are_created_and_updated(account: Any) -> None:
    customer = account.records("shopify", "customer")[0]["id"]
    create = """mutation ($id: ID!, $address: MailingAddressInput!) {
      customerAddressCreate(customerId: $id, address: $address, setAsDefault: true) {
        address { id city countryCodeV2 country } userErrors { field message }
      }
    }"""
    address = {"address1": "1 Tràng Tiền", "city": "Hà Nội", "countryCode": "VN"}
    made = account.graphql(create, id=customer, address=address)["data"]["customerAddressCreate"]
    assert made["address"]["countryCodeV2"] == "VN"
    again = account.graphql(create, id=customer, address=address)["data"]["customerAddressCreate"]
    assert again["userErrors"][0]["message"] == "Address already exists"
    update = """mutation ($id: ID!, $at: ID!) {
      customerAddressUpdate(customerId: $id, addressId: $at, address: {city: "Huế"}) {
        address { city } userErrors { message }
      }
    }"""
    changed = account.graphql(update, id=customer, at=made["address"]["id"])["data"]["customerAddressUpdate"]
    assert changed == {"address": {"city": "Huế"}, "userErrors": []}
    shown = account.graphql("query ($id: ID!) { customer(id: $id) { defaultAddress { address1 city } } }", id=customer)
    assert shown["data"]["customer"]["defaultAddress"] == {"address1": "1 Tràng Tiền", "city": "Huế"}
