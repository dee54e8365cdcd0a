"""Killed, refused or overtaken in the middle of a batch."""

from collections import defaultdict
from typing import Any

import pytest
from tests.job_requests import job_control

from job_events.topics import request_key


def _stock_keys(shop: Any) -> dict[tuple[str, str, int], set[str]]:
    """(item, location, quantity) -> the idempotency keys under which it was really written."""
    found: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for write in shop.writes():
        if write["kind"] == "inventorySetQuantities" and write["outcome"] in {"accepted", "replayed"}:
            values = write["values"]
            found[write["id"], values["locationId"], values["quantity"]].add(write["idempotency_key"])
    return found


def _intents(shop: Any, job_id: str) -> int:
    if shop.sql("select to_regclass('syncer.intent')")[0][0] is None:
        return 0
    return shop.sql("select count(*) from syncer.intent where job_id = %(job)s", job=job_id)[0][0]


def _nhanh_stock(shop: Any) -> dict[str, dict[str, int]]:
    nhanh = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
    return {
        gid: {shop.depot_locations[depot]: quantity for depot, quantity in nhanh[one]["_stock"].items()}
        for one, gid in shop.truth("product").items()
    }


@pytest.mark.long
def test_killed_between_the_write_and_the_checkpoint_repeats_the_same_keys(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.fault("slow", seconds=0.3)
    job_id = shop.request("PRODUCT_SYNC")
    with syncer() as process:
        shop.wait_until(lambda: _intents(shop, job_id) == 1, message="a batch is about to be sent")
        with shop.pool.connection() as blocker:
            # The checkpoint waits for this row, so the kill comes after the platform was written.
            blocker.execute("select from syncer.inbox for update")
            shop.wait_until(lambda: bool(_stock_keys(shop)), message="stock was written")
            process.kill()
            process.wait()
    shop.clear_faults()
    written = {place: keys.copy() for place, keys in _stock_keys(shop).items()}
    assert written
    with syncer():
        end = shop.finished(job_id)
    assert (end.data.outcome, end.data.attempt) == ("success", 2)
    assert end.data.counters.processed == end.data.counters.successful == len(pairs)
    replayed = [write for write in shop.writes() if write["outcome"] == "replayed"]
    assert len(replayed) == len(written), "the second attempt sent the batch again, under its key"
    assert {len(keys) for keys in _stock_keys(shop).values()} == {1}
    levels = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    should = _nhanh_stock(shop)
    assert {gid: levels[gid] for gid in should} == should


def _control(shop: Any, verb: str, job_id: str) -> None:
    shop.send(job_control(verb, "demo", job_id), request_key("demo", shop.account))


@pytest.mark.parametrize(
    "answered", [0, pytest.param(1, marks=pytest.mark.long)], ids=["before the intent", "after the intent"]
)
def test_while_a_job_is_paused_the_world_goes_on(shop: Any, syncer: Any, answered: int) -> None:
    """What Nhanh wants otherwise by now is not written, and what a person has set meanwhile is a conflict."""
    pairs = dict(sorted(shop.truth("product").items())[:5])
    shop.map("product", pairs)
    shop.settings(
        conflict_rule="keep_platform", stock_conflict_rule="keep_platform", write={"stock": False}, max_change_share=1.0
    )
    outdated, theirs, plain = list(pairs)[:3]

    def price_at_nhanh(product: str, more: int) -> float:
        docs = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
        price = docs[product]["prices"]["retail"] + more
        shop.edit("nhanh", "product", int(product), set={"prices": {"retail": price}})
        return price

    def changed(more: int) -> None:
        for product in (outdated, theirs, plain):
            price_at_nhanh(product, more)
        shop.pull()

    def shown(product: str) -> float:
        return float(shop.variants()[pairs[product]]["price"])

    with syncer():
        changed(5000)
        shop.run("PRODUCT_SYNC")  # only what was once written can be in conflict
        before = shown(outdated)
        changed(5000)
        shop.fault("5xx", count=10_000, skip=2 * answered)  # the currency and the values
        job_id = shop.request("PRODUCT_SYNC")
        shop.wait_until(lambda: _intents(shop, job_id) == answered and shop.refused(), message="the shop is asked")
        _control(shop, "pause", job_id)
        held = "select state = 'queued' and paused from syncer.inbox where job_id = %(job)s"
        shop.wait_until(lambda: shop.sql(held, job=job_id) == [(True,)], message="the job is held")

        price_at_nhanh(outdated, 1000)
        shop.pull()
        number = int(pairs[theirs].rpartition("/")[2])
        shop.edit("shopify", "variant", number, set={"price": "777000"})
        shop.clear_faults()
        _control(shop, "resume", job_id)
        end = shop.finished(job_id)
        items = {name: item.data for name, item in shop.items(job_id, 3).items()}
        assert (items[outdated].action, items[outdated].error.code) == ("skipped", "PLAN_OUTDATED")
        assert (items[theirs].action, items[theirs].error.code) == ("conflict", "KEPT_PLATFORM")
        assert items[plain].action == "updated"
        assert (shown(outdated), shown(theirs), shown(plain)) == (before, 777_000, price_at_nhanh(plain, 0))
        assert (end.data.outcome, end.data.counters.skipped, end.data.metadata["conflicts"]) == ("success", 2, 1)

        shop.run("PRODUCT_SYNC")
        assert shown(outdated) == price_at_nhanh(outdated, 0) == before + 6000


def test_stock_that_changed_since_it_was_read_is_read_again(shop: Any, syncer: Any) -> None:
    pairs, should = shop.truth("product"), _nhanh_stock(shop)
    shop.map("product", pairs)
    levels = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    gid = next(gid for gid in should if levels[gid] != should[gid])
    location = next(place for place in should[gid] if levels[gid][place] != should[gid][place])
    shop.fault("slow", seconds=0.5)
    job_id = shop.request("PRODUCT_SYNC")
    with syncer():
        shop.wait_until(lambda: _intents(shop, job_id) == 1, message="a batch is about to be sent")
        sold = (
            levels[gid][location] - 1
            if levels[gid][location] - 1 != should[gid][location]
            else levels[gid][location] - 2
        )
        shop.edit("shopify", "variant", int(gid.rpartition("/")[2]), stock={location: sold})
        end = shop.finished(job_id)
    assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
    outcomes = {write["outcome"] for write in shop.writes()}
    assert "CHANGE_FROM_QUANTITY_STALE" in outcomes
    now = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    assert {gid: now[gid] for gid in should} == should


def test_a_lost_answer_is_asked_for_again_under_the_same_key(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.store.put_account("demo", shop.account, {"depot_locations": shop.depot_locations, "write": {"price": False}})
    shop.fault("drop_after", count=1, skip=2)
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert end.data.outcome == "success"
    assert {len(keys) for keys in _stock_keys(shop).values()} == {1}


def test_an_expired_token_ends_the_job_at_once(shop: Any, syncer: Any) -> None:
    shop.map("product", shop.truth("product"))
    shop.fault("expired_token")
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error.category) == ("failure", "INVALID_CREDENTIALS")
    assert end.data.metadata["unchanged"] > 0
    assert shop.store.connection("demo", shop.account, "shopify").status == "needs re-authorisation"


def test_a_shop_that_is_away_delays_the_job(shop: Any, syncer: Any) -> None:
    shop.map("product", shop.truth("product"))
    shop.fault("5xx", count=2)
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert end.data.outcome == "success"


@pytest.mark.parametrize("job_type", ["PRODUCT_SYNC", pytest.param("CUSTOMER_SYNC", marks=pytest.mark.long)])
def test_an_account_without_a_connection_says_how_to_mend_it(shop: Any, syncer: Any, job_type: str) -> None:
    shop.account = "empty"
    shop.store.put_account("demo", "empty", {})
    with syncer():
        _, end = shop.run(job_type)
    assert (end.data.outcome, end.data.error.category) == ("failure", "VALIDATION_FAILED")
    assert "jobtrail accounts add" in end.data.error.message


def test_exchanges_are_forgotten_after_fourteen_days(shop: Any, syncer: Any) -> None:
    shop.map("product", dict(list(shop.truth("product").items())[:5]))
    with syncer():
        shop.run("PRODUCT_SYNC")
        aged = shop.sql("update syncer.exchange set at = at - interval '15 days' returning id")
        assert aged
        job_id, _ = shop.run("PRODUCT_SYNC", dry_run=True)
    assert shop.sql("select id from syncer.exchange where job_id <> %(job)s", job=job_id) == []


@pytest.mark.parametrize(
    ("answered", "deferred"), [(0, True), (3, False)], ids=["before the intent", "while it writes"]
)
def test_a_shop_that_is_down_for_seconds_costs_no_repeated_write(
    shop: Any, syncer: Any, answered: int, deferred: bool
) -> None:
    """A job that only reads gives its thread back; one that writes a batch keeps it, and sends nothing twice."""
    pairs = dict(sorted(shop.truth("product").items())[:12])
    shop.map("product", pairs)
    shop.settings(max_change_share=1.0)
    shop.fault("5xx", count=4, skip=answered)
    job_id = shop.request("PRODUCT_SYNC")
    with syncer():
        end = shop.finished(job_id)
    assert (end.data.outcome, end.data.counters.successful) == ("success", len(pairs))
    assert (end.data.attempt > 1) == deferred
    assert shop.refused() == 4
    accepted = [write for write in shop.writes() if write["outcome"] == "accepted"]
    assert len({(write["kind"], write["id"], str(write["values"])) for write in accepted}) == len(accepted) > 0
    assert not [write for write in shop.writes() if write["outcome"] == "replayed"]
