"""Which records a sync must not trust, as the views tell it."""

from collections.abc import Callable
from typing import Any


def _stale(world: Any, view: str, key: str) -> dict[str, str]:
    """By record: why it is stale. Records that are not do not appear."""
    rows = world.rows(f"select {key} as id, stale from puller.{view} where account = %(account)s and stale is not null")
    return {row["id"]: row["stale"] for row in rows}


def _customers(world: Any) -> dict[str, str]:
    return _stale(world, "api_customers", "customer_id")


def test_a_record_that_cannot_be_read_is_stale_until_it_can(world: Any, puller: Callable[[], Any]) -> None:
    product, other = [d for d in world.sandbox.records(world.account, "nhanh", "product") if d["parentId"] == -1][:2]
    customer = world.sandbox.records(world.account, "nhanh", "customer")[0]
    price = "select price::text from puller.api_products where variant_id = %(id)s"
    with puller():
        world.run("PULL_NHANH_PRODUCTS")
        world.run("PULL_NHANH_CUSTOMERS")
        before = world.rows(price, id=str(product["id"]))
        assert (_stale(world, "api_products", "variant_id"), _customers(world)) == ({}, {})
        world.sandbox.edit(world.account, "nhanh", "product", product["id"], set={"prices": {"retail": "1.250"}})
        world.sandbox.edit(world.account, "nhanh", "product", other["id"], set={"prices": {"retail": -1}})
        world.sandbox.edit(world.account, "nhanh", "customer", customer["id"], set={"totalAmount": "1,250,000"})
        job_id = world.request("PULL_NHANH_PRODUCTS")
        assert world.finished(job_id).data.outcome == "partial"
        told = {item.data.item: item.data.error.message for item in world.items(job_id, 2)}
        assert "prices.retail: '1.250' is ambiguous" in told[str(product["id"])]
        assert "prices.retail: -1 is below zero" in told[str(other["id"])]
        assert world.run("PULL_NHANH_CUSTOMERS").data.counters.failed == 1
        unread = {str(product["id"]): "unread", str(other["id"]): "unread"}
        assert _stale(world, "api_products", "variant_id") == unread
        assert _customers(world) == {str(customer["id"]): "unread"}
        assert world.rows(price, id=str(product["id"])) == before
        # A filtered pull reads it, and that is enough.
        world.sandbox.edit(world.account, "nhanh", "product", product["id"], set={"prices": {"retail": 1250}})
        world.run("PULL_NHANH_PRODUCTS", filters={"ids": [product["id"]]})
        assert _stale(world, "api_products", "variant_id") == {str(other["id"]): "unread"}
        assert world.rows(price, id=str(product["id"])) == [{"price": "1250"}]


def test_what_the_last_complete_pull_did_not_see_is_stale(world: Any, puller: Callable[[], Any]) -> None:
    names = sorted(str(doc["id"]) for doc in world.sandbox.records(world.account, "nhanh", "customer"))
    with puller():
        world.run("PULL_NHANH_CUSTOMERS")
        # A pull of a part says nothing of the rest.
        world.run("PULL_NHANH_CUSTOMERS", filters={"ids": [int(names[0])]})
        assert _customers(world) == {}
        world.sandbox.switch(world.account, "nhanh", lists_end_after=60)
        stopped = world.run("PULL_NHANH_CUSTOMERS").data
        assert stopped.error.category == "CHANGE_TOO_LARGE"
        assert _customers(world) == dict.fromkeys(names[60:], "unseen")
        world.sandbox.switch(world.account, "nhanh", lists_end_after=None)
        world.run("PULL_NHANH_CUSTOMERS", filters={"ids": [int(names[-1])]})
        assert _customers(world) == dict.fromkeys(names[60:-1], "unseen")
        assert world.run("PULL_NHANH_CUSTOMERS").data.outcome == "success"
        assert _customers(world) == {}


def test_a_record_without_its_id_stays_unseen_and_is_not_delisted(world: Any, puller: Callable[[], Any]) -> None:
    product = next(d for d in world.sandbox.records(world.account, "nhanh", "product") if d["parentId"] == -1)
    with puller():
        world.run("PULL_NHANH_PRODUCTS")
        world.sandbox.edit(world.account, "nhanh", "product", product["id"], set={"id": None})
        blind = world.run("PULL_NHANH_PRODUCTS").data
        assert (blind.outcome, blind.counters.failed, "gone" in blind.metadata) == ("partial", 1, False)
        assert _stale(world, "api_products", "variant_id") == {str(product["id"]): "unseen"}


def test_an_incomplete_pull_makes_nothing_stale(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        first = world.request("PULL_SHOPIFY_CUSTOMERS")
        assert world.finished(first).data.outcome == "success"
        world.sandbox.switch(world.account, "shopify", lists_end_after=10)
        assert world.run("PULL_SHOPIFY_CUSTOMERS").data.error.code == "INCOMPLETE"
        assert _customers(world) == {}
    pulls = world.rows("select job_id from puller.complete_pull where account = %(account)s")
    assert [row["job_id"] for row in pulls] == [first]
