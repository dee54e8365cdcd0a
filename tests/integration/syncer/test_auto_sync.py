"""AUTO_SYNC_PRODUCTS and AUTO_SYNC_CUSTOMERS, from the API to the sandbox's raw log of requests."""

from collections.abc import Iterable
from typing import Any

import pytest

FREE = {"max_change_share": 1.0, "sellout_share": 1.0}


@pytest.fixture
def free(shop: Any, api: Any) -> Any:
    """A shop that the API serves, where prices alone are written and no guard stops."""
    del api
    shop.settings(write={"stock": False}, **FREE)
    return shop


def raise_prices(shop: Any, ids: Iterable[str], more: int = 1000) -> None:
    docs = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
    for hub_id in ids:
        shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": docs[hub_id]["prices"]["retail"] + more}})
    shop.pull()


def add_points(shop: Any, ids: Iterable[str], points: int) -> None:
    for hub_id in ids:
        shop.edit("nhanh", "customer", int(hub_id), set={"points": points})
    shop.pull()


def written(shop: Any, since: int = 0) -> list[str]:
    """The channel's ids in the order of their first write in the raw log."""
    return list(dict.fromkeys(write["id"] for write in shop.writes()[since:]))


def one_a_product(shop: Any, pairs: dict[str, str]) -> list[str]:
    """Ids of the hub whose records of the channel are of different products, in the order of the channel's ids."""
    variants = shop.variants()
    products = {variants[gid]["_product"]: hub_id for hub_id, gid in sorted(pairs.items(), key=lambda one: one[1])}
    return sorted(products.values(), key=lambda hub_id: pairs[hub_id])


def test_the_least_recently_synced_products_go_first(free: Any, syncer: Any) -> None:
    shop, pairs = free, free.truth("product")
    ids = one_a_product(shop, pairs)[:12]
    never, late, early, found_right, broken = ids[:4], ids[4:6], ids[6:8], ids[8:10], ids[10]
    raise_prices(shop, ids)
    shop.edit("nhanh", "product", int(broken), set={"prices": {"retail": -1}})
    shop.pull()
    shop.map("product", {one: pairs[one] for one in ids[:11]})
    with syncer():
        for chosen in (found_right, early, late, found_right, [broken]):
            _, end = shop.run("PRODUCT_SYNC", only=list(chosen))
        assert end.data.counters.failed == 1
        before = len(shop.writes())
        raise_prices(shop, ids)
        shop.edit("nhanh", "product", int(broken), set={"prices": {"retail": 555_000.0}})
        shop.pull()
        _, end = shop.run("AUTO_SYNC_PRODUCTS")
        assert (end.data.outcome, end.data.metadata["updated"], end.data.counters.total) == ("success", 11, 11)
        order = written(shop, before)
        at = {one: order.index(pairs[one]) for one in ids[:11]}
        # The one that failed was never synced; what was found equal last has moved to the end.
        groups = [[*never, broken], early, late, found_right]
        rank = {one: number for number, group in enumerate(groups) for one in group}
        ranks = [rank[one] for one in sorted(at, key=at.__getitem__)]
        assert ranks == sorted(ranks)

        _, again = shop.run("AUTO_SYNC_PRODUCTS")
        metadata = again.data.metadata
        assert (metadata["unchanged"], metadata["updated"], metadata["requests"]) == (11, 0, 0)
        assert len(shop.writes()) - before == len(order)


def test_the_least_recently_synced_customers_go_first(free: Any, syncer: Any) -> None:
    shop, pairs = free, free.truth("customer")
    shop.map("customer", pairs)
    by_gid = sorted(pairs, key=pairs.__getitem__)
    first, second = by_gid[:3], by_gid[10:12]
    with syncer():
        shop.run("CUSTOMER_SYNC", only=second)
        shop.run("CUSTOMER_SYNC", only=first)
        add_points(shop, pairs, 4711)
        before = len(shop.writes())
        _, dry = shop.run("AUTO_SYNC_CUSTOMERS", dry_run=True)
        assert (dry.data.metadata["wouldUpdate"], len(shop.writes())) == (len(pairs), before)
        _, end = shop.run("AUTO_SYNC_CUSTOMERS")
        assert (end.data.outcome, end.data.metadata["updated"]) == ("success", len(pairs))
        assert end.data.metadata["batches"] > 1
        points = [
            write["id"]
            for write in shop.writes()[before:]
            if write["kind"] == "metafieldsSet" and write["values"]["name"] == "nhanh.points"
        ]
        never = [pairs[one] for one in by_gid if one not in {*first, *second}]
        assert points == [*never, *(pairs[one] for one in second), *(pairs[one] for one in first)]


def test_what_the_last_release_has_synced_keeps_its_place(free: Any, syncer: Any) -> None:
    """It knows no `synced_item`: the time of the last write counts."""
    shop, pairs = free, free.truth("product")
    ids = one_a_product(shop, pairs)[:4]
    shop.map("product", {one: pairs[one] for one in ids})
    raise_prices(shop, ids)
    with syncer():
        shop.run("PRODUCT_SYNC", only=[ids[1]])
        shop.run("PRODUCT_SYNC", only=[ids[0]])
        shop.sql("delete from syncer.synced_item")
        raise_prices(shop, ids)
        before = len(shop.writes())
        _, end = shop.run("AUTO_SYNC_PRODUCTS")
    assert end.data.outcome == "success"
    order = [gid for gid in written(shop, before) if gid in pairs.values()]
    assert order == [pairs[one] for one in (ids[2], ids[3], ids[1], ids[0])]


def test_metadata_has_what_users_of_earlier_systems_know(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:5])
    shop.map("product", pairs)
    raise_prices(shop, pairs)
    with syncer():
        _, end = shop.run("AUTO_SYNC_PRODUCTS")
    metadata = end.data.metadata
    counted = {"batches": 1, "created": 0, "updated": 5, "skipped": 0, "unchanged": 0, "failed": 0, "rateLimitHits": 0}
    assert {name: metadata[name] for name in counted} == counted
    assert metadata["dryRun"] is False
    assert {"speed", "duration", "eta"} <= metadata.keys()
