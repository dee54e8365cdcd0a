"""Exact records: given when a shop is made, created later, deleted."""

from typing import Any

from sandbox.shops import DEPOTS, LOCATIONS

COOKER = {
    "id": 504,
    "title": "Nồi cơm điện Sharp 1.8L",
    "brand": "Sharp",
    "units": [{"sku": "NC1", "barcode": "8934563138165", "price": "900000", "stock": [5, 2]}],
}
SHIRT = {
    "id": 700,
    "title": "Áo thun",
    "units": [
        {"sku": "AT-S", "option": "S", "price": "99000.5", "stock": [1]},
        {"sku": "AT-M", "option": "M", "price": 0, "stock": [0]},
    ],
}
AN = {"id": 31, "family": "Nguyễn", "given": "Văn An", "phone": "0912345678", "email": "an@shop.vn"}
WALK_IN = {"id": 32, "family": "", "given": "Khách lẻ", "phone": "0912345678"}
SOURCE = {"products": [COOKER, SHIRT], "customers": [AN, WALK_IN]}


def product_ids(account: Any) -> list[int]:
    return [product["id"] for product in account.nhanh("product/list")["data"]]


def test_a_shop_holds_exactly_the_records_that_it_was_given(new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    items = {item["id"]: item for item in account.nhanh("product/list")["data"]}
    assert {number: (item["parentId"], item["code"]) for number, item in items.items()} == {
        504: (-1, "NC1"),
        700: (-2, None),
        701: (700, "AT-S"),
        702: (700, "AT-M"),
    }
    assert items[504]["prices"]["retail"] == 900000
    depots = {depot["id"]: depot["available"] for depot in items[504]["inventory"]["depots"]}
    assert depots == {DEPOTS[0][0]: 5, DEPOTS[1][0]: 2}
    variants = account.graphql("{ productVariants(first: 9) { nodes { legacyResourceId sku price barcode } } }")
    found = {node["legacyResourceId"]: node for node in variants["data"]["productVariants"]["nodes"]}
    assert {number: (node["sku"], node["price"]) for number, node in found.items()} == {
        "50401": ("NC1", "900000.00"),
        "70001": ("AT-S", "99000.50"),
        "70002": ("AT-M", "0.00"),
    }
    assert found["50401"]["barcode"] == "8934563138165"
    assert [person["name"] for person in account.nhanh("customer/list")["data"]] == ["Nguyễn Văn An", "Khách lẻ"]
    people = account.records("shopify", "customer")
    assert [(doc["firstName"], doc["lastName"]) for doc in people] == [("Văn An", "Nguyễn"), ("Khách lẻ", "")]
    # Two customers of one shop never share a phone: the second keeps it in the address.
    assert [(doc["defaultPhoneNumber"] or {}).get("phoneNumber") for doc in people] == ["+84912345678", None]
    assert people[1]["_addresses"][0]["phone"] == "0912345678"


def test_the_same_records_find_the_shop_again_and_others_are_refused(server: Any, new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    again = server.control("POST", "shops", {"account": account.name, "nhanh": SOURCE, "shopify": SOURCE})
    assert again == account.made
    other = {"account": account.name, "nhanh": {**SOURCE, "products": [COOKER]}}
    assert server.http.post("/_sandbox/shops", json=other).status_code == 409


def test_a_new_record_is_listed_once_and_is_no_write(server: Any, new_account: Any) -> None:
    empty = {"products": [], "customers": [AN]}
    account = new_account(nhanh=empty, shopify=empty)
    for platform in ("nhanh", "shopify"):
        server.control("PUT", f"records/{account.name}/{platform}/product", COOKER)
        server.control("PUT", f"records/{account.name}/{platform}/customer", WALK_IN)
        assert account.facts(platform)["records"]["products"] == 1
        assert account.facts(platform)["records"]["customers"] == 2
        assert account.facts(platform)["writes"] == {}
    assert product_ids(account) == [504]
    assert account.records("shopify", "variant")[0]["_levels"] == {
        str(LOCATIONS[0][0]): 5,
        str(LOCATIONS[1][0]): 2,
    }
    # The phone is taken by a customer who was there before.
    assert account.records("shopify", "customer")[1]["defaultPhoneNumber"] is None
    url = f"/_sandbox/records/{account.name}/shopify/product"
    assert server.http.put(url, json=COOKER).status_code == 409
    assert server.http.put(url, json={"id": 5}).status_code == 422


def test_a_deleted_product_takes_its_variants_and_metafields_along(server: Any, new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    owner = "gid://shopify/ProductVariant/70001"
    field = {"ownerId": owner, "namespace": "nhanh", "key": "id", "type": "single_line_text_field", "value": "1"}
    document = (
        "mutation ($fields: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $fields) { userErrors { code } } }"
    )
    account.graphql(document, fields=[field])
    assert len(account.records("shopify", "metafield")) == 1
    for platform in ("nhanh", "shopify"):
        server.control("DELETE", f"records/{account.name}/{platform}/product/700")
    assert product_ids(account) == [504]
    assert [doc["_number"] for doc in account.records("shopify", "product")] == [504]
    assert [doc["_number"] for doc in account.records("shopify", "variant")] == [50401]
    assert account.records("shopify", "metafield") == []
    gone = server.http.delete(f"/_sandbox/records/{account.name}/shopify/product/700")
    assert gone.status_code == 404


def test_a_replaced_variant_has_new_ids_and_the_same_content(server: Any, new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    before = next(doc for doc in account.records("shopify", "variant") if doc["_number"] == 70001)
    url = f"/_sandbox/records/{account.name}/shopify/variant/70001/replace"
    assert server.http.post(url, json={"id": 70001, "at": 1_800_000_000}).status_code == 409
    assert server.http.post(url, json={"id": 70099, "at": 1_800_000_000}).status_code == 201
    assert server.http.post(url, json={"id": 70098, "at": 1_800_000_000}).status_code == 404
    document = "{ productVariants(first: 50) { nodes { id sku inventoryItem { id } } } }"
    found = {node["id"]: node for node in account.graphql(document)["data"]["productVariants"]["nodes"]}
    assert before["id"] not in found
    new = found["gid://shopify/ProductVariant/70099"]
    assert new["sku"] == before["sku"]
    others = [node["inventoryItem"]["id"] for node in found.values() if node is not new]
    assert new["inventoryItem"]["id"] not in others


def test_a_deleted_customer_frees_the_phone(server: Any, new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    server.control("DELETE", f"records/{account.name}/shopify/customer/31")
    server.control("PUT", f"records/{account.name}/shopify/customer", {**AN, "id": 33})
    phones = {doc["_number"]: doc["defaultPhoneNumber"] for doc in account.records("shopify", "customer")}
    assert phones == {32: None, 33: {"phoneNumber": "+84912345678"}}


def test_a_deleted_place_takes_its_stock_along(server: Any, new_account: Any) -> None:
    account = new_account(nhanh=SOURCE, shopify=SOURCE)
    server.control("DELETE", f"records/{account.name}/nhanh/depot/{DEPOTS[1][0]}")
    server.control("DELETE", f"records/{account.name}/shopify/location/{LOCATIONS[1][0]}")
    cooker = next(item for item in account.nhanh("product/list")["data"] if item["id"] == 504)
    assert [depot["id"] for depot in cooker["inventory"]["depots"]] == [DEPOTS[0][0]]
    assert [depot["id"] for depot in account.nhanh("business/depot")["data"]] == [DEPOTS[0][0]]
    assert account.records("shopify", "variant")[0]["_levels"] == {str(LOCATIONS[0][0]): 5}
    server.control("PUT", f"records/{account.name}/shopify/product", {**COOKER, "id": 505})
    levels = {doc["_number"]: doc["_levels"] for doc in account.records("shopify", "variant")}
    assert levels[50501] == {str(LOCATIONS[0][0]): 5}
    query = "{ locations(first: 5) { nodes { legacyResourceId } } }"
    listed = account.graphql(query)["data"]["locations"]["nodes"]
    assert [node["legacyResourceId"] for node in listed] == [str(LOCATIONS[0][0])]
