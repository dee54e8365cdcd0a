"""Killed, refused or overtaken in the middle of a batch."""

from collections import defaultdict
from typing import Any

import pytest


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


@pytest.mark.parametrize("job_type", ["PRODUCT_SYNC", "CUSTOMER_SYNC"])
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
