"""PRODUCT_SYNC against the sandbox: the right values, once, and nothing blindly."""

from typing import Any

GONE = "gid://shopify/ProductVariant/999999"


def wanted(shop: Any) -> dict[str, tuple[float, dict[str, int]]]:
    """Shopify variant id -> price and stock by location, as Nhanh has them."""
    nhanh = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
    found: dict[str, tuple[float, dict[str, int]]] = {}
    for hub_id, remote_id in shop.truth("product").items():
        doc = nhanh[hub_id]
        levels = {shop.depot_locations[depot]: quantity for depot, quantity in doc["_stock"].items()}
        found[remote_id] = (doc["prices"]["retail"], levels)
    return found


def held(shop: Any) -> dict[str, tuple[float, dict[str, int]]]:
    return {gid: (float(doc["price"]), doc["_levels"]) for gid, doc in shop.variants().items()}


def test_the_shop_holds_nhanhs_values_and_a_second_run_writes_nothing(shop: Any, syncer: Any) -> None:
    pairs, should = shop.truth("product"), wanted(shop)
    before = held(shop)
    differing = {gid for gid, values in should.items() if before[gid] != values}
    assert 5 < len(differing) < len(should)
    shop.map("product", pairs)
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC")
        assert (end.data.outcome, end.data.error) == ("success", None)
        after = held(shop)
        assert {gid: after[gid] for gid in should} == should
        assert {gid: values for gid, values in after.items() if gid not in should} == {
            gid: values for gid, values in before.items() if gid not in should
        }
        items = shop.items(job_id, len(differing))
        assert {one.data.ids["shopify"] for one in items.values()} == differing
        assert {one.data.action for one in items.values()} == {"updated"}
        assert all(one.data.changes and one.data.response_ms is not None for one in items.values())
        counters, metadata = end.data.counters, end.data.metadata
        assert (counters.total, counters.successful, counters.processed) == (len(pairs),) * 3
        assert (metadata["updated"], metadata["unchanged"]) == (len(differing), len(pairs) - len(differing))
        assert (metadata["conflicts"], metadata["dryRun"]) == (0, False)
        assert metadata["batches"] >= 1
        assert metadata["requests"] > 0

        writes = len(shop.writes())
        assert writes > 0
        _, again = shop.run("PRODUCT_SYNC")  # without a pull: our own writes are newer than the catalogue
        assert (again.data.outcome, again.data.metadata["unchanged"]) == ("success", len(pairs))
        assert (again.data.metadata["updated"], again.data.metadata["requests"]) == (0, 0)
        shop.pull()
        _, third = shop.run("PRODUCT_SYNC")
        assert (third.data.metadata["unchanged"], third.data.metadata["requests"]) == (len(pairs), 0)
        assert len(shop.writes()) == writes

    exchanges = shop.sql(
        "select request_body, response_body, status from syncer.exchange where job_id = %(job)s", job=job_id
    )
    assert len(exchanges) == metadata["requests"]
    token = shop.store.connection("demo", shop.account, "shopify").credentials["access_token"]
    assert not any(token in body for row in exchanges for body in row[:2])
    assert {row[2] for row in exchanges} == {200}


def test_a_bad_item_never_fails_its_neighbours(shop: Any, syncer: Any) -> None:
    pairs, should = shop.truth("product"), wanted(shop)
    broken = sorted(pairs)[0]
    lost = pairs[broken]
    shop.map("product", {**pairs, broken: GONE, "404": lost})
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC")
    assert end.data.outcome == "partial"
    assert (end.data.counters.failed, end.data.counters.skipped) == (1, 1)
    assert end.data.counters.processed == end.data.counters.total == len(pairs) + 1
    items = shop.items(job_id, end.data.metadata["updated"] + 2)
    assert (items[broken].data.action, items[broken].data.error.category) == ("failed", "NOT_FOUND")
    assert (items["404"].data.action, items["404"].data.error.code) == ("skipped", "NOT_IN_CATALOGUE")
    after = held(shop)
    assert {gid: after[gid] for gid in should if gid != lost} == {g: v for g, v in should.items() if g != lost}


def test_a_refused_stock_is_the_only_one_not_written(shop: Any, syncer: Any) -> None:
    """inventorySetQuantities fails as a whole; the bad quantity is taken out, and its item's price still written."""
    pairs, should = shop.truth("product"), wanted(shop)
    hub_id = sorted(pairs)[0]
    shop.edit("nhanh", "product", int(hub_id), stock={"120001": 2_000_000_000}, set={"prices": {"retail": 777_000.0}})
    shop.pull()
    shop.map("product", pairs)
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error.code) == ("partial", "PARTLY_WRITTEN")
    assert (end.data.counters.failed, end.data.metadata["partlyFailed"]) == (0, 1)
    items = shop.items(job_id, end.data.metadata["updated"])
    assert (items[hub_id].data.action, items[hub_id].data.error.category) == ("updated", "VALIDATION_FAILED")
    assert items[hub_id].data.error.message.startswith("stock@")
    after = held(shop)
    assert after[pairs[hub_id]][0] == 777_000
    others = {gid for gid in should if gid != pairs[hub_id]}
    assert {gid: after[gid] for gid in others} == {gid: should[gid] for gid in others}


def test_a_dry_run_tells_and_writes_nothing(shop: Any, syncer: Any) -> None:
    pairs, should, before = shop.truth("product"), wanted(shop), held(shop)
    shop.map("product", pairs)
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC", dry_run=True)
        differing = {nhanh for nhanh, gid in pairs.items() if before[gid] != should[gid]}
        items = shop.items(job_id, len(differing))
        assert (end.data.outcome, end.data.metadata["dryRun"]) == ("success", True)
        assert set(items) == differing
        assert {one.data.action for one in items.values()} == {"would_update"}
        assert all(one.data.changes for one in items.values())
        assert (shop.writes(), held(shop)) == ([], before)
        assert shop.sql("select count(*) from syncer.written") == [(0,)]

        one = sorted(differing)[0]
        _, only = shop.run("PRODUCT_SYNC", only=[one])
        assert (only.data.counters.total, only.data.metadata["updated"]) == (1, 1)
        after = held(shop)
        assert {gid for gid in after if after[gid] != before[gid]} == {pairs[one]}


def test_a_platform_value_that_changed_since_is_a_conflict_by_the_rule(shop: Any, syncer: Any) -> None:
    pairs, should = shop.truth("product"), wanted(shop)
    shop.map("product", pairs)
    hub_id = sorted(pairs)[0]
    gid = pairs[hub_id]
    number = int(gid.rpartition("/")[2])
    with syncer():
        # Only what we once wrote can be in conflict: this item differs before the first run.
        shop.edit("shopify", "variant", number, set={"price": f"{should[gid][0] + 3000:.2f}"})
        shop.pull()
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"

        theirs = f"{should[gid][0] + 1000:.2f}"
        shop.edit("shopify", "variant", number, set={"price": theirs})
        shop.pull()
        shop.settings(conflict_rule="keep_platform")
        job_id, kept = shop.run("PRODUCT_SYNC")
        item = shop.items(job_id, 1)[hub_id].data
        assert (item.action, item.error.category, item.error.code) == ("conflict", "CONFLICT", "KEPT_PLATFORM")
        assert (kept.data.outcome, kept.data.counters.skipped, kept.data.metadata["conflicts"]) == ("success", 1, 1)
        assert shop.variants()[gid]["price"] == theirs

        shop.settings(conflict_rule="nhanh_wins")
        job_id, won = shop.run("PRODUCT_SYNC")
        item = shop.items(job_id, 1)[hub_id].data
        assert (item.action, item.error) == ("conflict", None)
        assert (won.data.metadata["conflicts"], won.data.metadata["updated"]) == (1, 1)
        assert float(shop.variants()[gid]["price"]) == should[gid][0]


def test_the_sum_of_all_depots_goes_to_the_first_location_where_it_is_asked_for(shop: Any, syncer: Any) -> None:
    pairs, should, before = shop.truth("product"), wanted(shop), held(shop)
    shop.store.put_account("demo", shop.account, {"write": {"price": False}, "unmapped_depots": "sum"})
    shop.map("product", pairs)
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error) == ("success", None)
    first, second = shop.depot_locations.values()
    after = held(shop)
    for gid, (_, levels) in should.items():
        assert after[gid] == (before[gid][0], {first: sum(levels.values()), second: before[gid][1][second]})
