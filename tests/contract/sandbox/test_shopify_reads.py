"""Reading Shopify: access, paging, search, cost."""

from typing import Any

import pytest

from platforms.shopify import documents

PRODUCTS = """query ($first: Int, $after: String, $query: String, $sort: ProductSortKeys, $reverse: Boolean) {
  products(first: $first, after: $after, query: $query, sortKey: $sort, reverse: $reverse) {
    nodes { id title updatedAt variants(first: 5) { nodes { id sku barcode price inventoryQuantity } } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}"""


def walk(account: Any, first: int, **variables: Any) -> list[Any]:
    """All products, page by page."""
    account.switch("shopify", bucket=1_000_000)
    found: list[Any] = []
    after: str | None = None
    for _ in range(500):
        page = account.post(PRODUCTS, {"first": first, "after": after, **variables}).json()["data"]["products"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
    raise AssertionError("the walk does not end")


def test_a_wrong_token_gets_a_plain_401(account: Any) -> None:
    answer = account.post("{ shop { name } }", token="shpat_wrong")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/plain")
    right = account.post("{ shop { name currencyCode } }")
    assert right.json()["data"]["shop"] == {"name": account.name, "currencyCode": "VND"}
    assert right.headers["X-Shopify-API-Version"] == "2026-10"


@pytest.mark.parametrize(("sort", "reverse"), [("ID", False), ("ID", True), ("UPDATED_AT", False), ("TITLE", True)])
def test_pages_are_complete_in_every_order(account: Any, sort: str, reverse: bool) -> None:
    found = walk(account, 7, sort=sort, reverse=reverse)
    numbers = [product["id"] for product in found]
    assert len(numbers) == len(set(numbers)) == account.facts("shopify")["records"]["products"] == 30
    key = {"ID": lambda p: int(p["id"].rsplit("/", 1)[1]), "UPDATED_AT": lambda p: p["updatedAt"]}.get(
        sort, lambda p: p["title"].encode()
    )
    assert [key(p) for p in found] == sorted((key(p) for p in found), reverse=reverse)
    variants = sum(len(product["variants"]["nodes"]) for product in found)
    assert variants == account.facts("shopify")["records"]["variants"]


def test_pages_must_be_sized_within_250(account: Any) -> None:
    for arguments in ("first: 251", "", "first: 1, last: 1"):
        answer = account.graphql(f"{{ locations{f'({arguments})' if arguments else ''} {{ nodes {{ id }} }} }}")
        assert "data" not in answer
        assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_unknown_fields_are_refused(account: Any) -> None:
    answer = account.graphql("{ customers(first: 1) { nodes { email } } }")
    assert "Cannot query field 'email'" in answer["errors"][0]["message"]
    assert answer["extensions"]["cost"]["throttleStatus"]["restoreRate"] == 100


def test_search(account: Any) -> None:
    everything = walk(account, 50)
    variant = next(v for p in everything for v in p["variants"]["nodes"] if v["sku"])
    found = walk(account, 50, query=f"sku:'{variant['sku']}'")
    assert variant["id"] in [v["id"] for p in found for v in p["variants"]["nodes"]]
    one = everything[3]["id"].rsplit("/", 1)[1]
    assert [p["id"] for p in walk(account, 50, query=f"id:{one}")] == [everything[3]["id"]]
    assert walk(account, 50, query=f"id:>={one}") == everything[3:]
    moments = sorted(p["updatedAt"] for p in everything)
    later = walk(account, 50, query=f"updated_at:>='{moments[10]}'")
    assert sorted(p["updatedAt"] for p in later) == moments[10:]
    both = walk(account, 50, query=f"id:{one} OR id:{everything[5]['id'].rsplit('/', 1)[1]}")
    assert len(both) == 2
    ignored = account.post(PRODUCTS, {"first": 1, "query": "colour:red"}).json()
    assert ignored["extensions"]["search"][0]["warnings"][0]["field"] == "colour"


def test_customers_updated_at_matches_whole_days(account: Any) -> None:
    query = "query ($q: String) { customers(first: 50, query: $q) { nodes { id updatedAt numberOfOrders } } }"
    everything = account.graphql(query)["data"]["customers"]["nodes"]
    moment = sorted(person["updatedAt"] for person in everything)[10]
    late = f"{moment[:10]}T23:59:59Z"
    found = account.graphql(query, q=f"updated_at:>='{late}'")["data"]["customers"]["nodes"]
    assert {p["id"] for p in found} == {p["id"] for p in everything if p["updatedAt"][:10] >= moment[:10]}
    assert all(isinstance(person["numberOfOrders"], str) for person in everything)


def test_the_cost_is_reported_and_what_was_not_used_comes_back(account: Any) -> None:
    account.switch("shopify", bucket=2000, restore_rate=0)  # else the time that the answer takes would count
    answer = account.graphql("{ locations(first: 10) { nodes { id } } }")
    cost = answer["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (12, 4)
    assert cost["throttleStatus"]["currentlyAvailable"] == 1996


def test_a_query_over_the_cap_is_refused_without_data(account: Any) -> None:
    answer = account.graphql("{ products(first: 250) { nodes { variants(first: 10) { nodes { id } } } } }")
    assert "data" not in answer
    assert answer["errors"][0]["extensions"] == {"code": "MAX_COST_EXCEEDED", "cost": 3252, "maxCost": 1000}


def test_an_empty_bucket_throttles_under_http_200(account: Any, wait_until: Any) -> None:
    account.switch("shopify", bucket=100, restore_rate=40)
    query = "{ products(first: 90) { nodes { id } } }"
    account.graphql(query)
    account.graphql(query)
    answer = account.graphql(query)
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = answer["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    assert cost["requestedQueryCost"] > cost["throttleStatus"]["currentlyAvailable"]
    wait_until(lambda: "data" in account.graphql(query))


def test_all_our_reading_documents_run(account: Any) -> None:
    account.switch("shopify", bucket=1_000_000)
    variant = account.records("shopify", "variant")[0]
    customer = account.records("shopify", "customer")[0]["id"]
    item = f"gid://shopify/InventoryItem/{400_000_000_000_000_000 + variant['_number']}"
    values = {
        "first": 5,
        "variants": 2,
        "levels": 2,
        "addresses": 2,
        "metafields": 5,
        "namespace": "nhanh",
        "count": True,
    }
    ids = {
        "customer_addresses": {"id": customer},
        "customers_by_ids": {"ids": [customer, "gid://shopify/Customer/1"]},
        "inventory_levels": {"id": item},
        "product_variants": {"id": f"gid://shopify/Product/{variant['_product']}"},
        "variants_by_ids": {"ids": [variant["id"]]},
    }
    reading = [name for name in documents.names() if documents.text(name).lstrip().startswith("query")]
    assert len(reading) >= 5
    for name in reading:
        answer = account.graphql(documents.text(name), **values, **ids.get(name, {}))
        assert "errors" not in answer, (name, answer)
        assert all(value is not None for value in answer["data"].values()), name
    nodes = account.graphql(documents.text("customers_by_ids"), **values, **ids["customers_by_ids"])["data"]["nodes"]
    assert nodes[0]["id"] == customer
    assert nodes[1] is None
