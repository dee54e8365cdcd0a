"""Each kind of pull gives what the platform holds; a second one finds everything unchanged."""

from collections.abc import Callable
from typing import Any


def test_every_pull_gives_what_the_platform_holds_and_a_second_one_changes_nothing(
    world: Any, puller: Callable[[], Any]
) -> None:
    held = world.held()
    with puller():
        first = {name: world.request(name, page_size=20) for name in held}
        for name, job_id in first.items():
            end = world.finished(job_id)
            data = end.data
            assert (data.outcome, data.error) == ("success", None)
            assert (data.counters.processed, data.counters.successful) == (held[name], held[name])
            metadata = data.metadata
            assert {metadata[key] for key in ("updated", "unchanged", "gone")} == {0}
            assert metadata["created"] == held[name]
            assert metadata["pages"] > 2
            assert metadata["requests"] >= metadata["pages"]
            assert metadata["rateLimitHits"] == 0
            assert {"speed", "duration"} <= set(metadata)
            expected_total = held[name] if "SHOPIFY" in name else None
            assert data.counters.total == expected_total
        before = world.rows("select * from puller.api_products order by platform, variant_id")
        second = {name: world.request(name) for name in held}
        for name, job_id in second.items():
            data = world.finished(job_id).data
            assert data.outcome == "success"
            assert data.metadata["unchanged"] == data.counters.successful == held[name]
            assert data.metadata["created"] == data.metadata["updated"] == 0
        after = world.rows("select * from puller.api_products order by platform, variant_id")

    for row in (*before, *after):
        row.pop("pulled_at")
    assert before == after
    for platform in ("nhanh", "shopify"):
        records = world.shops[platform]["records"]
        where = f"where tenant = %(tenant)s and account = %(account)s and platform = '{platform}'"
        assert len([row for row in after if row["platform"] == platform]) == records["variants"]
        stock = world.rows(f"select * from puller.api_stock {where}")
        assert len(stock) >= records["variants"]
        customers = world.rows(f"select * from puller.api_customers {where}")
        assert len(customers) == records["customers"]
    connections = world.rows("select distinct status from accounts.connection where account = %(account)s")
    assert [row["status"] for row in connections] == ["ok"]
    _assert_products_are_the_platforms(world)
    _assert_customers_are_the_platforms(world)


def _assert_products_are_the_platforms(world: Any) -> None:
    by_id = {
        (row["platform"], row["variant_id"]): row
        for row in world.rows("select * from puller.api_products where account = %(account)s")
    }
    for doc in world.sandbox.records(world.account, "nhanh", "product"):
        row = by_id.pop(("nhanh", str(doc["id"])), None)
        if doc["parentId"] == -2:
            assert row is None
            continue
        assert row is not None
        assert (row["sku"], row["barcode"]) == (doc["code"], doc["barcode"])
        assert float(row["price"]) == doc["prices"]["retail"]
        assert float(row["stock"]) == sum(doc["_stock"].values())
        assert (row["vat_mode"], row["currency"], row["status"]) == (2, "VND", "selling")
        if doc["parentId"] > 0:
            assert row["product_id"] == str(doc["parentId"])
            assert doc["name"] == f"{row['title']} {row['variant_title']}"
        else:
            assert (row["title"], row["variant_title"]) == (doc["name"], None)
    for doc in world.sandbox.records(world.account, "shopify", "variant"):
        row = by_id.pop(("shopify", doc["id"]))
        assert (row["sku"] or "", row["barcode"] or "") == (doc["sku"] or "", doc["barcode"] or "")
        assert float(row["price"]) == float(doc["price"])
        assert float(row["stock"]) == sum(doc["_levels"].values())
        assert row["inventory_item_id"].startswith("gid://shopify/InventoryItem/")
    assert by_id == {}


def _assert_customers_are_the_platforms(world: Any) -> None:
    people = {
        (row["platform"], row["customer_id"]): row
        for row in world.rows("select * from puller.api_customers where account = %(account)s")
    }
    for doc in world.sandbox.records(world.account, "nhanh", "customer"):
        row = people[("nhanh", str(doc["id"]))]
        assert (row["name"], row["email"]) == (doc["name"], doc["email"])
        assert (row["phone"] or "") == (doc["mobile"] or "").strip()
        assert row["totals"]["total_amount"] == doc["totalAmount"]


def test_only_a_full_pull_marks_what_the_platform_no_longer_lists(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        _pull_with_a_ghost(world, "nhanh", {"filters": {"updatedAtFrom": 1}})
        _pull_with_a_ghost(world, "shopify", {"query": "status:ACTIVE"})


def _pull_with_a_ghost(world: Any, platform: str, narrow: dict[str, Any]) -> None:
    """A record that was stored long ago and is not listed any more."""
    name = f"PULL_{platform.upper()}_PRODUCTS"
    count = "select count(*)::int as n from puller.api_products where account = %(account)s and platform = %(platform)s"
    assert world.run(name).data.metadata["gone"] == 0
    variants = world.shops[platform]["records"]["variants"]
    with world.pool.connection() as connection:
        ghost = (
            "with copied as (insert into puller.record select tenant, account, platform, kind, 'ghost', content_hash,"
            " 'earlier', seen_at, changed_at from puller.record where account = %s and platform = %s limit 1) "
            "insert into puller.variant (tenant, account, platform, variant_id, record_id, product_id, prices)"
            " select tenant, account, platform, 'ghost', 'ghost', 'ghost', '{}' from puller.variant"
            " where account = %s and platform = %s limit 1"
        )
        connection.execute(ghost, [world.account, platform] * 2)
    filtered = world.run(name, **narrow).data
    assert "gone" not in filtered.metadata
    assert next(iter(narrow)) in filtered.metadata
    assert world.rows(count, platform=platform)[0]["n"] == variants + 1
    full = world.run(name).data
    assert (full.metadata["gone"], full.metadata["unchanged"]) == (1, full.counters.successful)
    assert world.rows(count, platform=platform)[0]["n"] == variants
