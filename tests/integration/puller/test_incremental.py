"""Incremental pulls through Kafka, by the real puller: what they read, what they say, and a kill -9 in their middle."""

import json
import signal
from collections.abc import Callable
from typing import Any

SHOWN = "select variant_id, title, price::float8 as price, stock::float8 as stock from puller.api_products"
WHERE = " where account = %(account)s and platform = %(platform)s order by variant_id"


def _pull_all(world: Any) -> None:
    jobs = [world.request(name) for name in world.held()]
    assert {world.finished(job_id).data.outcome for job_id in jobs} == {"success"}


def _changed(world: Any, platform: str, kind: str) -> Any:
    return world.run("INCREMENTAL_PULL", platform=platform, kind=kind).data


def _counts(data: Any) -> tuple[int, int, int, int]:
    metadata = data.metadata
    return data.counters.processed, metadata["created"], metadata["updated"], metadata["unchanged"]


def _asked(world: Any, platform: str, path: str, after: int) -> list[Any]:
    """The filters, or the search, of the logged requests of a list."""
    found: list[Any] = []
    for entry in world.sandbox.requests(world.account, platform)[after:]:
        body = entry["body"] if isinstance(entry["body"], dict) else json.loads(entry["body"])
        if platform == "nhanh" and entry["path"] == path:
            found.append(body["filters"])
        elif platform == "shopify" and f"query {path}(" in body["query"]:
            found.append(body["variables"]["query"])
    return found


def test_an_incremental_pull_reads_what_changed_on_nhanh(world: Any, puller: Callable[[], Any]) -> None:
    docs = [doc for doc in world.sandbox.records(world.account, "nhanh", "product") if doc["parentId"] != -2]
    priced, stocked, deleted = (doc["id"] for doc in docs[:3])
    person = world.sandbox.records(world.account, "nhanh", "customer")[4]["id"]
    with puller():
        first = _changed(world, "nhanh", "products")  # no mark yet: everything
        assert (first.outcome, first.metadata["created"], first.metadata["changedSince"]) == (
            "success",
            world.held()["PULL_NHANH_PRODUCTS"],
            None,
        )
        assert (first.metadata["lastFullPull"], first.metadata["deletionsSeenUntil"]) == (None, None)
        _pull_all(world)
        world.sandbox.edit(world.account, "nhanh", "product", priced, set={"prices": {"retail": 77.0}}, at=None)
        world.sandbox.edit(world.account, "nhanh", "product", stocked, stock={"120001": 4321}, at=None)
        world.sandbox.edit(world.account, "nhanh", "customer", person, set={"name": "Tên Mới"}, at=None)
        path = f"/records/{world.account}/nhanh/product"
        world.sandbox.http.delete(f"{path}/{deleted}").raise_for_status()
        new = {"id": 99_000, "title": "Mới", "units": [{"sku": "M", "price": 5, "stock": [6, 1]}]}
        world.sandbox.http.put(path, json=new).raise_for_status()
        sent = len(world.sandbox.requests(world.account, "nhanh"))

        job_id = world.request("INCREMENTAL_PULL", platform="nhanh", kind="stock")
        stock = world.finished(job_id).data
        assert (stock.outcome, stock.counters.processed, stock.counters.skipped) == ("success", 2, 1)
        assert _counts(stock)[1:] == (0, 1, 0)
        (skipped,) = world.items(job_id, 1)
        assert (skipped.data.item, skipped.data.action, skipped.data.error.code) == (
            "99000",
            "skipped",
            "UNKNOWN_VARIANT",
        )
        assert world.rows(f"{SHOWN} where stock > 4000") == world.rows(f"{SHOWN} where variant_id = '{stocked}'")

        products = _changed(world, "nhanh", "products")
        assert _counts(products) == (2, 1, 1, 0)
        customers = _changed(world, "nhanh", "customers")
        assert _counts(customers) == (1, 0, 1, 0)
        assert {"speed", "duration", "pages", "requests", "rateLimitHits", "filters"} <= set(customers.metadata)
        assert customers.metadata["rateLimitHits"] == 0
        assert None not in (customers.metadata["lastFullPull"], customers.metadata["deletionsSeenUntil"])
        for kind, action in (
            ("products", "product/list"),
            ("stock", "product/inventory"),
            ("customers", "customer/list"),
        ):
            mark = "select floor(extract(epoch from mark))::int as at from puller.pull_cursor where kind = %(kind)s"
            (filters,) = _asked(world, "nhanh", action, sent)
            assert set(filters) == {"updatedAtFrom"}
            assert world.rows(mark, kind=kind)[0]["at"] >= filters["updatedAtFrom"]

        # A deletion is seen by the next full pull.
        here = f"{SHOWN} where variant_id = '{deleted}'"
        assert len(world.rows(here)) == 1
        by_parts = [row for row in world.rows(SHOWN + WHERE, platform="nhanh") if row["variant_id"] != str(deleted)]
        full = world.run("PULL_NHANH_PRODUCTS").data
        assert (full.metadata["gone"], full.metadata["created"]) == (1, 0)
        assert world.rows(SHOWN + WHERE, platform="nhanh") == by_parts


def test_an_incremental_pull_reads_what_changed_on_shopify(world: Any, puller: Callable[[], Any]) -> None:
    variants = world.sandbox.records(world.account, "shopify", "variant")
    person = world.sandbox.records(world.account, "shopify", "customer")[3]["_number"]
    priced, stocked = (
        variants[0]["_number"],
        next(v["_number"] for v in variants if v["_product"] != variants[0]["_product"]),
    )
    with puller():
        _pull_all(world)
        world.sandbox.edit(world.account, "shopify", "variant", priced, set={"price": "77.00"}, at=None)
        world.sandbox.edit(world.account, "shopify", "variant", stocked, stock={"90100000001": 4321}, at=None)
        world.sandbox.edit(world.account, "shopify", "customer", person, set={"firstName": "Tên"}, at=None)
        sent = len(world.sandbox.requests(world.account, "shopify"))
        products, customers = (_changed(world, "shopify", kind) for kind in ("products", "customers"))
        assert _counts(products) == (2, 0, 2, 0)
        assert _counts(customers) == (1, 0, 1, 0)
        (query,) = _asked(world, "shopify", "Products", sent)
        assert query == products.metadata["query"]
        assert query.startswith("updated_at:>='20")
        assert query.endswith("Z'")
        (day,) = _asked(world, "shopify", "Customers", sent)
        assert len(day) == len("updated_at:>='2026-11-29'")
        stored = world.rows(SHOWN + WHERE, platform="shopify")
        assert {float(row["price"]) for row in stored if row["variant_id"].endswith(f"/{priced}")} == {77.0}
        full = world.run("PULL_SHOPIFY_PRODUCTS").data
        assert (full.metadata["updated"], full.metadata["gone"]) == (0, 0)

        stock = _changed(world, "shopify", "stock")
        assert (stock.outcome, stock.error.category, stock.error.code) == (
            "failure",
            "VALIDATION_FAILED",
            "NOT_OFFERED",
        )
        assert "use kind products" in stock.error.message


def test_a_list_that_ends_early_moves_no_mark(world: Any, puller: Callable[[], Any]) -> None:
    mark = "select mark from puller.pull_cursor where platform = 'shopify' and kind = 'products'"
    with puller():
        assert world.run("PULL_SHOPIFY_PRODUCTS").data.outcome == "success"
        with world.pool.connection() as connection:  # as if the last pull had been a year ago
            connection.execute("update puller.pull_cursor set mark = mark - interval '1 year'")
        before = world.rows(mark)
        world.sandbox.switch(world.account, "shopify", lists_end_after=5)
        data = _changed(world, "shopify", "products")
        assert (data.outcome, data.error.code) == ("failure", "INCOMPLETE")
        assert f"counts {world.shops['shopify']['records']['products']} changed products" in data.error.message
        assert world.rows(mark) == before
        world.sandbox.switch(world.account, "shopify", lists_end_after=None)
        assert _changed(world, "shopify", "products").outcome == "success"
        assert world.rows(mark)[0]["mark"] > before[0]["mark"]


def test_a_mark_belongs_to_one_shop(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        assert world.run("PULL_NHANH_CUSTOMERS").data.outcome == "success"
        other = {"account": f"{world.account}-b", "nhanh": {"products": 1, "customers": 7, "seed": 9}}
        side = world.sandbox.http.post("/shops", json=other).raise_for_status().json()["nhanh"]
        world.store.put_connection("demo", world.account, "nhanh", side["base_url"], side["credentials"])
        data = _changed(world, "nhanh", "customers")
        assert (data.counters.processed, data.metadata["changedSince"]) == (7, None)


def test_kill_9_in_the_middle_of_an_incremental_pull(world: Any, puller: Callable[[], Any]) -> None:
    docs = [doc for doc in world.sandbox.records(world.account, "nhanh", "product") if doc["parentId"] != -2][:12]

    def name(number: int, text: str) -> None:
        world.sandbox.edit(world.account, "nhanh", "product", number, set={"name": text}, at=None)

    def pages(job_id: str) -> int:
        query = "select (cursor ->> 'pages')::int as n from puller.inbox where job_id = %(job)s"
        rows = world.rows(query, job=job_id)
        return (rows[0]["n"] or 0) if rows else 0

    with puller() as process:
        assert world.run("PULL_NHANH_PRODUCTS").data.outcome == "success"
        for doc in docs:
            name(doc["id"], f"Áo {doc['id']}")
        sent = len(world.sandbox.requests(world.account, "nhanh"))
        world.sandbox.switch(world.account, "nhanh", page_limit=2, short_pages=False)
        world.sandbox.fault("nhanh", world.account, "slow", seconds=0.7)
        job_id = world.request("INCREMENTAL_PULL", platform="nhanh", kind="products")
        world.wait_until(lambda: pages(job_id) >= 2, message="the pull is under way")
        process.send_signal(signal.SIGKILL)
        process.wait()
    # One that was read, and one that was not, change while nobody reads.
    name(docs[0]["id"], "Đã đọc")
    name(docs[-1]["id"], "Chưa đọc")
    world.sandbox.clear_faults()
    with puller():
        data = world.finished(job_id).data
        assert (data.outcome, data.attempt, data.counters.processed) == ("success", 2, len(docs))
        asked = _asked(world, "nhanh", "product/list", sent)
        assert len(asked) >= 6
        assert all(filters == asked[0] for filters in asked)  # the same window in both attempts
        again = _changed(world, "nhanh", "products")
        assert again.outcome == "success"
    titles = {
        row["variant_id"]: row["name"]
        for row in world.rows("select variant_id, name from puller.variant where name is not null")
    }
    products = {
        row["product_id"]: row["title"]
        for row in world.rows("select product_id, title from puller.product where platform = 'nhanh'")
    }
    for doc in world.sandbox.records(world.account, "nhanh", "product"):
        assert (titles if doc["parentId"] > 0 else products)[str(doc["id"])] == doc["name"]
