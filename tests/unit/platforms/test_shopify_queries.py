"""Pages, nested pages and walks over a shop that keeps records in lists."""

import json
import re
from typing import Any

import httpx
import pytest

from platforms.errors import Rejected, Unavailable
from platforms.shopify import queries


def _connection(records: list[Any], variables: dict[str, Any], first: int | None = None) -> dict[str, Any]:
    size = first if first is not None else variables["first"]
    start = int(variables.get("after") or 0) if first is None else 0
    part = records[start : start + size]
    end = start + len(part)
    return {"nodes": part, "pageInfo": {"hasNextPage": end < len(records), "endCursor": str(end)}}


class Shop:
    """products: per product, per variant, how many levels."""

    def __init__(self, products: list[list[int]], customers: int = 0, addresses: int = 0) -> None:
        self.products = products
        self.customers = customers
        self.addresses = addresses
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        found = re.search(r"^(?:query|mutation) (\w+)", body["query"], re.MULTILINE)
        assert found
        self.calls.append((found[1], body["variables"]))
        return httpx.Response(200, json={"data": getattr(self, found[1])(body["variables"])})

    def _levels(self, count: int) -> list[Any]:
        quantities = [{"name": "available", "quantity": 1}]
        return [{"location": {"id": f"gid://shopify/Location/{n}"}, "quantities": quantities} for n in range(count)]

    def _variant(self, p: int, v: int, variables: dict[str, Any]) -> dict[str, Any]:
        levels = _connection(self._levels(self.products[p][v]), variables, variables["levels"])
        item = {"id": f"gid://shopify/InventoryItem/{p}-{v}", "tracked": True, "inventoryLevels": levels}
        return {"id": f"gid://shopify/ProductVariant/{p}-{v}", "price": "120000.00", "inventoryItem": item}

    def _product(self, p: int, variables: dict[str, Any]) -> dict[str, Any]:
        variants = [self._variant(p, v, variables) for v in range(len(self.products[p]))]
        return {
            "id": f"gid://shopify/Product/{p}",
            "variants": _connection(variants, variables, variables["variants"]),
        }

    def Products(self, variables: dict[str, Any]) -> Any:
        above = re.search(r"id:>(\d+)", variables["query"] or "")
        start = int(above[1]) + 1 if above else 0
        records = [self._product(p, variables) for p in range(start, len(self.products))]
        count = {"productsCount": {"count": len(self.products)}} if variables["count"] else {}
        return {**count, "products": _connection(records, variables)}

    def ProductVariants(self, variables: dict[str, Any]) -> Any:
        p = int(variables["id"].rpartition("/")[2])
        variants = [self._variant(p, v, variables) for v in range(len(self.products[p]))]
        return {"product": {"variants": _connection(variants, variables)}}

    def InventoryLevels(self, variables: dict[str, Any]) -> Any:
        p, _, v = variables["id"].rpartition("/")[2].partition("-")
        levels = _connection(self._levels(self.products[int(p)][int(v)]), variables)
        return {"inventoryItem": {"inventoryLevels": levels}}

    def VariantsByIds(self, variables: dict[str, Any]) -> Any:
        nodes: list[Any] = []
        for gid in variables["ids"]:
            p, _, v = gid.rpartition("/")[2].partition("-")
            exists = int(p) < len(self.products)
            nodes.append({**self._variant(int(p), int(v), variables), "product": {"id": p}} if exists else None)
        return {"nodes": [*nodes[:1], *nodes[1:]]}

    def Customers(self, variables: dict[str, Any]) -> Any:
        people = [self._customer(c, variables) for c in range(self.customers)]
        return {"customersCount": {"count": self.customers}, "customers": _connection(people, variables)}

    def _customer(self, c: int, variables: dict[str, Any]) -> dict[str, Any]:
        addresses = [{"id": f"a{n}"} for n in range(self.addresses)]
        return {
            "id": f"gid://shopify/Customer/{c}",
            "addressesV2": _connection(addresses, variables, variables["addresses"]),
        }

    def CustomerAddresses(self, variables: dict[str, Any]) -> Any:
        addresses = [{"id": f"a{n}"} for n in range(self.addresses)]
        return {"customer": {"addressesV2": _connection(addresses, variables)}}

    def CustomersByIds(self, variables: dict[str, Any]) -> Any:
        assert variables["namespace"] == "nhanh"
        return {"nodes": [self._customer(int(gid.rpartition("/")[2]), variables) for gid in variables["ids"]]}


def _product_page(number: int, end: str) -> httpx.Response:
    """A page of one product that promises another page behind the cursor `end`."""
    variants = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    nodes = [{"id": f"gid://shopify/Product/{number}", "variants": variants}]
    return httpx.Response(
        200, json={"data": {"products": {"nodes": nodes, "pageInfo": {"hasNextPage": True, "endCursor": end}}}}
    )


def _walk(client: Any, name: str = "products", **options: Any) -> list[Any]:
    items: list[Any] = []
    cursor = None
    for _ in range(100):
        page = getattr(client, name)(cursor, **options)
        items.extend(page.items)
        cursor = json.loads(json.dumps(page.next))
        if cursor is None:
            return items
    raise AssertionError("the walk does not end")


def test_every_product_comes_once_with_all_variants_and_levels(shopify: Any) -> None:
    shop = Shop([[1] * (p % 4 * 60 + 1) for p in range(60)])
    shop.products[7] = [1, 120, 3]
    items = _walk(shopify(shop))
    assert [item["id"] for item in items] == [f"gid://shopify/Product/{p}" for p in range(60)]
    for item, expected in zip(items, shop.products, strict=True):
        variants = item["variants"]["nodes"]
        assert [variant["id"].rpartition("-")[2] for variant in variants] == [str(v) for v in range(len(expected))]
        assert [len(v["inventoryItem"]["inventoryLevels"]["nodes"]) for v in variants] == expected
        assert set(item["variants"]) == {"nodes"}


def test_the_total_is_asked_once_and_kept(shopify: Any) -> None:
    shop = Shop([[1]] * 60)
    client = shopify(shop)
    first = client.products()
    second = client.products(first.next)
    assert (first.total, second.total) == (60, 60)
    assert [variables["count"] for _, variables in shop.calls] == [True, False]


def test_pages_learn_how_much_their_records_hold(shopify: Any) -> None:
    shop = Shop([[4] * 6] * 200)
    client = shopify(shop)
    assert len(_walk(client)) == 200
    asked = [variables for name, variables in shop.calls if name == "Products"]
    assert (asked[0]["variants"], asked[0]["levels"]) == (3, 2)
    assert (asked[-1]["variants"], asked[-1]["levels"]) == (6, 4)
    assert shop.calls[-1][0] == "Products"


def test_a_long_walk_starts_anew_before_shopify_ends_it(shopify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "WALK_LIMIT", 50)
    shop = Shop([[1]] * 130)
    items = _walk(shopify(shop), query="status:active")
    assert [item["id"].rpartition("/")[2] for item in items] == [str(p) for p in range(130)]
    searches = {variables["query"] for _, variables in shop.calls}
    assert searches == {"status:active", "(status:active) AND id:>49", "(status:active) AND id:>99"}


def test_a_cursor_that_does_not_move_is_refused(shopify: Any, script: Any) -> None:
    client = shopify(script(_product_page(5, "x")))
    with pytest.raises(Rejected):
        client.products({"after": "x", "walked": 5})


def test_a_circle_of_cursors_is_refused(shopify: Any, script: Any) -> None:
    client = shopify(script(_product_page(1, "a"), _product_page(2, "b"), _product_page(3, "c"), _product_page(4, "a")))
    cursor = None
    for _ in range(3):
        cursor = client.products(cursor).next
    with pytest.raises(Rejected) as caught:
        client.products(cursor)
    assert caught.value.code == "REPEATED_CURSOR"


def test_a_circle_inside_one_record_is_refused(shopify: Any) -> None:
    shop = Shop([[1] * 10])
    ends = iter(["a", "b", "a"])

    def circle(variables: dict[str, Any]) -> Any:
        page = {"nodes": [shop._variant(0, 9, variables)], "pageInfo": {"hasNextPage": True, "endCursor": next(ends)}}
        return {"product": {"variants": page}}

    shop.ProductVariants = circle  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(Rejected) as caught:
        shopify(shop).products()
    assert caught.value.code == "REPEATED_CURSOR"


def test_an_empty_page_that_promises_another_is_asked_again(shopify: Any, script: Any) -> None:
    empty = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}
    broken = httpx.Response(200, json={"data": {"products": empty}})
    assert len(shopify(script(broken, broken, _product_page(1, "a"))).products().items) == 1
    with pytest.raises(Unavailable) as caught:
        shopify(script(broken), retry_timeout=60.0).products()
    assert (caught.value.category, caught.value.code) == ("PLATFORM_ERROR", "BAD_ENVELOPE")


def test_counts_are_asked_with_the_walks_query(shopify: Any, script: Any) -> None:
    def counted(field: str, count: Any) -> httpx.Response:
        return httpx.Response(200, json={"data": {field: count}})

    platform = script(counted("productsCount", {"count": 7}), counted("customersCount", None))
    client = shopify(platform)
    assert client.count_products("status:active") == 7
    assert client.count_customers() is None
    assert [json.loads(request.content)["variables"] for request in platform.requests] == [
        {"query": "status:active"},
        {"query": None},
    ]


def test_a_new_walk_begins_behind_the_last_item_that_has_an_id(shopify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "WALK_LIMIT", 50)
    shop = Shop([[1]] * 60)
    read = shop._product
    shop._product = lambda p, variables: {  # pyright: ignore[reportAttributeAccessIssue]
        name: value for name, value in read(p, variables).items() if p != 49 or name != "id"
    }
    client = shopify(shop)
    first = client.products()
    assert client.products(first.next).next["above"] == "48"


def test_a_product_deleted_between_two_pages_keeps_what_was_seen(shopify: Any) -> None:
    shop = Shop([[1] * 10])
    shop.ProductVariants = lambda variables: {"product": None}  # pyright: ignore[reportAttributeAccessIssue]
    (item,) = shopify(shop).products().items
    assert len(item["variants"]["nodes"]) == 3


def test_customers_with_all_addresses(shopify: Any) -> None:
    shop = Shop([], customers=250, addresses=60)
    client = shopify(shop)
    items = _walk(client, "customers", size=40)
    assert len({item["id"] for item in items}) == 250
    assert all(len(item["addressesV2"]["nodes"]) == 60 for item in items)


def test_records_by_ids_come_in_order_and_without_the_missing(shopify: Any) -> None:
    shop = Shop([[1], [5], [1]], customers=200, addresses=1)
    ids = [f"gid://shopify/ProductVariant/{p}-0" for p in (2, 9, 1, 0)]
    client = shopify(shop)
    found = client.variants_by_ids(ids)
    assert [variant["id"] for variant in found] == [ids[0], ids[2], ids[3]]
    assert len(found[1]["inventoryItem"]["inventoryLevels"]["nodes"]) == 5
    assert client.variants_by_ids([]) == []
    wanted = [f"gid://shopify/Customer/{c}" for c in range(199, -1, -1)]
    assert [customer["id"] for customer in client.customers_by_ids(wanted)] == wanted
    assert max(len(v["ids"]) for n, v in shop.calls if n == "CustomersByIds") < 60
