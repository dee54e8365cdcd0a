"""Suspicious changes are held back, too many stop the run, and a confirmation lets through what was shown."""

from typing import Any

import pytest

TOKEN = "planToken"


def price(shop: Any, hub_id: str, amount: float) -> None:
    """Set a price in the hub."""
    shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": amount}})


def number_of(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def prices(shop: Any) -> dict[str, float]:
    return {gid: float(doc["price"]) for gid, doc in shop.variants().items()}


@pytest.fixture
def agreed(shop: Any) -> dict[str, str]:
    """All pairs mapped; the hub has the shop's prices and stock, so that a sync finds everything right."""
    pairs: dict[str, str] = shop.truth("product")
    variants = shop.variants()
    depots = {location: depot for depot, location in shop.depot_locations.items()}
    for hub_id, gid in pairs.items():
        levels = {depots[place]: quantity for place, quantity in variants[gid]["_levels"].items()}
        shop.edit(
            "nhanh", "product", int(hub_id), stock=levels, set={"prices": {"retail": float(variants[gid]["price"])}}
        )
    shop.pull()
    shop.map("product", pairs)
    return pairs


def test_what_was_only_found_right_is_known_and_guarded(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    before = prices(shop)
    with syncer():
        for _ in range(2):
            _, found = shop.run("PRODUCT_SYNC")
            assert (found.data.outcome, found.data.metadata["unchanged"]) == ("success", len(agreed))
        for hub_id, gid in agreed.items():
            price(shop, hub_id, before[gid] / 5)
        shop.pull()
        job_id, end = shop.run("PRODUCT_SYNC")
        assert (end.data.outcome, end.data.error.code) == ("failure", "CHANGE_TOO_LARGE")
        assert f"{len(agreed)} of {len(agreed)} known items" in end.data.error.message
        assert f"jobtrail jobs confirm {job_id}" in end.data.error.message
        items = shop.items(job_id, len(agreed))
        assert {(one.data.action, "the run stops" in one.data.held) for one in items.values()} == {
            ("would_update", True)
        }
        assert (shop.writes(), prices(shop)) == ([], before)

        _, confirmed = shop.run("PRODUCT_SYNC", confirm=end.data.metadata[TOKEN])
        assert (confirmed.data.outcome, confirmed.data.metadata["updated"]) == ("success", len(agreed))
        assert prices(shop) == before | {gid: before[gid] / 5 for gid in agreed.values()}


def test_a_suspicious_item_is_held_and_the_rest_is_written(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    before = prices(shop)
    ten_times, a_tenth, zero, usual = sorted(agreed)[:4]
    wanted = {
        ten_times: before[agreed[ten_times]] * 10,
        a_tenth: before[agreed[a_tenth]] / 10,
        zero: 0.0,
        usual: before[agreed[usual]] + 1000,
    }
    for hub_id, amount in wanted.items():
        price(shop, hub_id, amount)
    shop.pull()
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC")
        assert (end.data.outcome, end.data.error.code) == ("partial", "ITEMS_HELD")
        assert "3 items are held back" in end.data.error.message
        assert (end.data.metadata["held"], end.data.metadata["updated"]) == (3, 1)
        assert (end.data.counters.skipped, end.data.counters.failed) == (3, 0)
        items = {name: item.data for name, item in shop.items(job_id, 4).items()}
        assert "to zero" in items[zero].held
        assert {items[one].action for one in (ten_times, a_tenth, zero)} == {"skipped"}
        assert [(c.name, c.before is not None) for c in items[zero].changes] == [("price", True)]
        assert items[usual].action == "updated"
        assert prices(shop) == before | {agreed[usual]: wanted[usual]}

        # Confirmed: the shown changes pass, and what is new is judged anew.
        token = end.data.metadata[TOKEN]
        price(shop, a_tenth, 0.0)
        shop.pull()
        job_id, again = shop.run("PRODUCT_SYNC", confirm=token)
        assert (again.data.outcome, again.data.metadata["held"]) == ("partial", 1)
        assert set(shop.items(job_id, 3)) == {ten_times, a_tenth, zero}
        now = prices(shop)
        assert (now[agreed[ten_times]], now[agreed[zero]]) == (wanted[ten_times], 0)
        assert now[agreed[a_tenth]] == before[agreed[a_tenth]]


def test_a_confirmation_is_for_the_values_that_were_shown(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    hub_id = min(agreed)
    gid = agreed[hub_id]
    price(shop, hub_id, prices(shop)[gid] * 20)
    shop.pull()
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
        theirs = prices(shop)[gid] + 5
        shop.edit("shopify", "variant", number_of(gid), set={"price": f"{theirs:.2f}"})
        job_id, again = shop.run("PRODUCT_SYNC", confirm=end.data.metadata[TOKEN])
        assert again.data.metadata["held"] == 1
        assert "price would go from" in shop.items(job_id, 1)[hub_id].data.held
        assert prices(shop)[gid] == theirs

        _, unknown = shop.run("PRODUCT_SYNC", confirm="plan-of-nobody")
        assert (unknown.data.outcome, unknown.data.error.code) == ("failure", "UNKNOWN_PLAN")
        _, other_kind = shop.run("CUSTOMER_SYNC", confirm=end.data.metadata[TOKEN])
        assert other_kind.data.error.code == "UNKNOWN_PLAN"


@pytest.mark.long
def test_many_small_jobs_meet_the_guard_of_one_large_job(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    before = prices(shop)
    with syncer():
        shop.run("PRODUCT_SYNC")
        for hub_id, gid in agreed.items():
            price(shop, hub_id, before[gid] / 5)
        shop.pull()
        ids = sorted(agreed)
        ends = [shop.run("PRODUCT_SYNC", only=ids[at : at + 4])[1] for at in range(0, len(ids), 4)]
        assert [end.data.outcome for end in ends[:2]] == ["success", "success"]
        assert "by syncs of the last hour" in ends[-1].data.error.message
        changed = sum(now != before[gid] for gid, now in prices(shop).items())
        assert 0 < changed <= len(agreed) / 2

        shop.sql("update syncer.written_change set intended_at = intended_at - interval '61 minutes' returning 1")
        _, later = shop.run("PRODUCT_SYNC", only=ids[-4:])
        assert later.data.outcome == "success"


@pytest.mark.long
def test_confirmed_writes_do_not_count_against_the_next_hour(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    before = prices(shop)
    with syncer():
        shop.run("PRODUCT_SYNC")
        for hub_id, gid in agreed.items():
            price(shop, hub_id, before[gid] / 5)
        shop.pull()
        _, stopped = shop.run("PRODUCT_SYNC")
        _, confirmed = shop.run("PRODUCT_SYNC", confirm=stopped.data.metadata[TOKEN])
        assert confirmed.data.outcome == "success"
        hub_id = min(agreed)
        price(shop, hub_id, before[agreed[hub_id]] / 4)
        shop.pull()
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"


def stock(shop: Any, hub_id: str, quantity: int) -> None:
    shop.edit("nhanh", "product", int(hub_id), stock=dict.fromkeys(shop.depot_locations, quantity))


def test_a_few_sell_outs_are_written_and_many_at_once_are_held(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    stocked = sorted(n for n, gid in agreed.items() if any(shop.variants()[gid]["_levels"].values()))
    with syncer():
        for hub_id in stocked[:5]:
            stock(shop, hub_id, 0)
        shop.pull()
        _, few = shop.run("PRODUCT_SYNC")
        assert (few.data.outcome, few.data.metadata["updated"]) == ("success", 5)

        # Five within the hour already: with these they are more than a fifth.
        for hub_id in stocked[5:15]:
            stock(shop, hub_id, 0)
        price(shop, stocked[20], prices(shop)[agreed[stocked[20]]] + 500)
        shop.pull()
        job_id, many = shop.run("PRODUCT_SYNC")
        assert (many.data.outcome, many.data.metadata["held"], many.data.metadata["updated"]) == ("partial", 10, 1)
        items = shop.items(job_id, 11)
        assert {"would go to zero" in items[one].data.held for one in stocked[5:15]} == {True}
        levels = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
        assert all(any(levels[agreed[one]].values()) for one in stocked[5:15])
        _, confirmed = shop.run("PRODUCT_SYNC", confirm=many.data.metadata[TOKEN])
        assert (confirmed.data.outcome, confirmed.data.metadata["updated"]) == ("success", 10)


@pytest.mark.long
def test_a_dry_run_tells_in_list_and_items_that_it_would_stop(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    before = prices(shop)
    with syncer():
        shop.run("PRODUCT_SYNC")
        for hub_id, gid in agreed.items():
            price(shop, hub_id, before[gid] / 5)
        shop.pull()
        job_id, dry = shop.run("PRODUCT_SYNC", dry_run=True)
        assert (dry.data.outcome, dry.data.error.code) == ("partial", "WOULD_STOP")
        items = shop.items(job_id, len(agreed))
        assert {one.data.action for one in items.values()} == {"would_update"}
        assert all("the run stops" in one.data.held for one in items.values())
        assert (shop.writes(), prices(shop)) == ([], before)
        _, confirmed = shop.run("PRODUCT_SYNC", confirm=dry.data.metadata[TOKEN])
        assert (confirmed.data.outcome, confirmed.data.metadata["updated"]) == ("success", len(agreed))


def test_stock_that_agreed_is_ours_though_the_shop_sold_in_between(
    shop: Any, syncer: Any, agreed: dict[str, str]
) -> None:
    shop.settings(stock_conflict_rule="keep_platform", write={"price": False})
    hub_id = next(n for n, gid in sorted(agreed.items()) if min(shop.variants()[gid]["_levels"].values()) > 3)
    gid, (depot, location) = agreed[hub_id], next(iter(shop.depot_locations.items()))
    level = shop.variants()[gid]["_levels"][location]

    def set_both(hub: int, channel: int) -> None:
        shop.edit("nhanh", "product", int(hub_id), stock={depot: hub})
        shop.edit("shopify", "variant", number_of(gid), stock={location: channel})
        shop.pull()

    with syncer():
        shop.run("PRODUCT_SYNC")
        set_both(level - 1, level - 1)  # sold in the shop, and known in the hub
        assert shop.run("PRODUCT_SYNC")[1].data.metadata["conflicts"] == 0
        set_both(level - 2, level - 1)  # sold in the hub
        _, end = shop.run("PRODUCT_SYNC")
        assert (end.data.metadata["conflicts"], end.data.metadata["updated"]) == (0, 1)
        assert shop.variants()[gid]["_levels"][location] == level - 2


def test_a_job_that_breaks_off_tells_what_it_has_written(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    """The token may write prices, not stock."""
    before = prices(shop)
    chosen = sorted(agreed)[:5]
    for hub_id in chosen:
        price(shop, hub_id, before[agreed[hub_id]] + 1000)
        shop.edit("nhanh", "product", int(hub_id), stock={next(iter(shop.depot_locations)): 77})
    shop.pull()
    shop.fault("garbage", says="inventorySetQuantities", body=DENIED)
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error.category) == ("failure", "PERMISSION_DENIED")
    assert end.data.metadata["updated"] == 5
    items = shop.items(job_id, 5)
    assert {(one.data.action, one.data.error.category) for one in items.values()} == {("updated", "PERMISSION_DENIED")}
    assert prices(shop) == before | {agreed[n]: before[agreed[n]] + 1000 for n in chosen}


DENIED = '{"data":null,"errors":[{"message":"may not","extensions":{"code":"ACCESS_DENIED"}}]}'


def test_a_location_that_is_gone_fails_its_stock_alone(shop: Any, syncer: Any, agreed: dict[str, str]) -> None:
    chosen = sorted(agreed)[:5]
    before = prices(shop)
    (depot, location), (gone_depot, _) = shop.depot_locations.items()
    shop.depot_locations = {depot: location, gone_depot: "gid://shopify/Location/1"}
    shop.settings()
    for hub_id in chosen:
        price(shop, hub_id, before[agreed[hub_id]] + 1000)
    shop.pull()
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC", only=chosen)
    assert (end.data.outcome, end.data.error.code) == ("partial", "PARTLY_WRITTEN")
    assert (end.data.metadata["updated"], end.data.metadata["partlyFailed"], end.data.counters.failed) == (5, 5, 0)
    items = shop.items(job_id, 5)
    assert all(one.data.error.message.startswith("stock@gid://shopify/Location/1") for one in items.values())
    assert prices(shop) == before | {agreed[n]: before[agreed[n]] + 1000 for n in chosen}
