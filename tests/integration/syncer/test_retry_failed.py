"""RETRY_FAILED_SYNCS, from the API to the sandbox's raw log: what failed is written again, and nothing else."""

from typing import Any

import pytest
from tests.api_answers import problem

GONE = "gid://shopify/ProductVariant/999999"


@pytest.fixture
def free(shop: Any, api: Any) -> Any:
    """A shop that the API serves, where prices alone are written and no guard stops the run."""
    del api
    shop.settings(write={"stock": False}, max_change_share=1.0)
    return shop


def price(shop: Any, hub_id: str, amount: float) -> None:
    shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": amount}})


def prices(shop: Any) -> dict[str, float]:
    return {gid: float(doc["price"]) for gid, doc in shop.variants().items()}


def failed(shop: Any) -> dict[str, tuple[str, str, str]]:
    """Hub id -> job, category, code."""
    rows = shop.sql("select hub_id, job_id, category, code from syncer.api_failed_items where account = %(account)s")
    return {hub_id: tuple(rest) for hub_id, *rest in rows}


def writes_to(shop: Any, since: int) -> set[str]:
    return {write["id"] for write in shop.writes()[since:]}


def fail(shop: Any, *hub_ids: str) -> tuple[str, dict[str, float]]:
    """Sync all products while these have an impossible price; the job, and the prices that they had."""
    docs = {str(doc["id"]): doc["prices"]["retail"] for doc in shop.records("nhanh", "product")}
    for hub_id in hub_ids:
        price(shop, hub_id, -1)
    shop.pull()
    job_id, end = shop.run("PRODUCT_SYNC")
    assert end.data.counters.failed == len(hub_ids)
    return job_id, docs


def refused(shop: Any, **params: Any) -> str:
    """The sentence with which the API refuses a retry of nothing."""
    return str(problem(shop.ask("RETRY_FAILED_SYNCS", **params), 409)["detail"])


def test_a_price_that_became_valid_is_written_and_nothing_else(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:8])
    shop.map("product", pairs)
    one, other, *rest = pairs
    with syncer():
        sync, right = fail(shop, one, other)
        assert failed(shop) == dict.fromkeys((one, other), (sync, "VALIDATION_FAILED", "PRICE_RULE"))
        price(shop, one, right[one] + 3000)
        price(shop, rest[0], right[rest[0]] + 3000)  # has not failed, so a retry leaves it
        shop.pull()
        held, before = prices(shop), len(shop.writes())

        dry_id, dry = shop.run("RETRY_FAILED_SYNCS", dry_run=True)
        assert (dry.data.metadata["wouldUpdate"], dry.data.counters.failed, len(shop.writes())) == (1, 1, before)
        assert {item.data.action for item in shop.items(dry_id, 2).values()} == {"would_update", "failed"}
        assert set(failed(shop)) == {one, other}

        retry, end = shop.run("RETRY_FAILED_SYNCS", job_id=sync)
        assert (end.data.outcome, end.data.counters.total, end.data.counters.failed) == ("partial", 2, 1)
        assert writes_to(shop, before) == {pairs[one]}
        assert prices(shop) == held | {pairs[one]: right[one] + 3000}
        assert failed(shop) == {other: (retry, "VALIDATION_FAILED", "PRICE_RULE")}
        times = "select times, failed_in from syncer.failed_item where account = %(account)s"
        assert shop.sql(times) == [(2, [sync, retry])]

        price(shop, other, right[other])
        shop.pull()
        _, last = shop.run("RETRY_FAILED_SYNCS", job_id=sync)  # still failed since that job
        assert (last.data.outcome, last.data.counters.total, failed(shop)) == ("success", 1, {})
        assert sync in refused(shop, job_id=sync)
        # A request that does not come through the API is refused by the job itself.
        _, empty = shop.run_directly("RETRY_FAILED_SYNCS", job_id=sync)
    assert (empty.data.outcome, empty.data.error.category) == ("failure", "VALIDATION_FAILED")
    assert (empty.data.error.code, sync in empty.data.error.message) == ("NOTHING_TO_RETRY", True)


def test_a_sync_that_finds_a_failed_item_right_ends_its_failure(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:4])
    shop.map("product", pairs)
    one, *_ = pairs
    with syncer():
        shop.run("PRODUCT_SYNC")
        _, right = fail(shop, one)
        price(shop, one, right[one])
        shop.pull()
        before = len(shop.writes())
        _, end = shop.run("AUTO_SYNC_PRODUCTS")
        assert (end.data.metadata["unchanged"], len(shop.writes()), failed(shop)) == (4, before, {})


def test_kinds_and_categories_select_and_one_job_may_hold_both(free: Any, syncer: Any) -> None:
    """The customer's phone was taken in the shop since the last pull: two people have one number."""
    shop, products, customers = free, free.truth("product"), free.truth("customer")
    bad_price, bad_match = sorted(products)[:2]
    one, other = sorted(customers)[:2]
    docs = {str(doc["id"]): doc["prices"]["retail"] for doc in shop.records("nhanh", "product")}
    shop.edit("nhanh", "customer", int(one), set={"mobile": "0987654320"})
    price(shop, bad_price, -1)
    shop.pull()
    holder = int(customers[other].rpartition("/")[2])
    shop.edit("shopify", "customer", holder, set={"defaultPhoneNumber": {"phoneNumber": "+84987654320"}})
    shop.map("product", {bad_price: products[bad_price], bad_match: GONE})
    shop.map("customer", {one: customers[one]})
    with syncer():
        shop.run("PRODUCT_SYNC")
        sync, _ = shop.run("CUSTOMER_SYNC")
        found = failed(shop)
        assert {name: category for name, (_, category, _) in found.items()} == {
            bad_price: "VALIDATION_FAILED",
            bad_match: "NOT_FOUND",
            one: found[one][1],
        }
        assert found[one][::2] == (sync, "TAKEN")

        by_category, end = shop.run("RETRY_FAILED_SYNCS", category="NOT_FOUND")
        assert (end.data.counters.total, set(shop.items(by_category, 1))) == (1, {f"product/{bad_match}"})
        by_kind, end = shop.run("RETRY_FAILED_SYNCS", kind="customer")
        assert (end.data.counters.total, set(shop.items(by_kind, 1))) == (1, {one})
        assert "customer" in refused(shop, kind="customer", category="NOT_FOUND")

        price(shop, bad_price, docs[bad_price] + 500)
        shop.edit("shopify", "customer", holder, set={"defaultPhoneNumber": None})
        shop.pull()
        before = len(shop.writes())
        both, end = shop.run("RETRY_FAILED_SYNCS")
        items = shop.items(both, 3)
        assert {name: item.data.action for name, item in items.items()} == {
            f"product/{bad_price}": "updated",
            f"product/{bad_match}": "failed",
            f"customer/{one}": "updated",
        }
        assert (end.data.counters.total, end.data.counters.processed, end.data.metadata["batches"]) == (3, 3, 2)
        assert writes_to(shop, before) == {products[bad_price], customers[one]}
        assert set(failed(shop)) == {bad_match}

        # What one job wrote of two kinds is taken back by one job, too.
        _, back = shop.run("REVERT_SYNC", job_id=both, only=[bad_price, one, "77777"])
        assert (back.data.counters.total, back.data.counters.failed, back.data.metadata["updated"]) == (3, 1, 2)
        assert failed(shop).keys() == {bad_match}, "a revert is no sync"


def test_a_match_that_was_deleted_or_moved_is_not_written_and_named(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:5])
    deleted, moved, kept, new_home, _ = pairs
    shop.map("product", {one: pairs[one] for one in (deleted, moved, kept)})
    with syncer():
        _, right = fail(shop, deleted, moved, kept)
        for one in (deleted, moved, kept):
            price(shop, one, right[one] + 1000)
        shop.sql("delete from matcher.match where account = %(account)s and hub_id = %(id)s", id=deleted)
        shop.sql("delete from matcher.match where account = %(account)s and hub_id = %(id)s", id=moved)
        shop.map("product", {moved: pairs[new_home]})
        shop.pull()
        before = len(shop.writes())
        job_id, end = shop.run("RETRY_FAILED_SYNCS", kind="product")
        items = {name: item.data for name, item in shop.items(job_id, 3).items()}
        assert (end.data.outcome, end.data.counters.total, end.data.counters.skipped) == ("success", 3, 2)
        assert {(items[one].action, items[one].error.code) for one in (deleted, moved)} == {("skipped", "NOT_LINKED")}
        assert items[kept].action == "updated"
        assert writes_to(shop, before) == {pairs[kept]}
        assert failed(shop) == {}


def test_a_suspicious_retry_is_held_and_its_confirmation_writes_it(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:3])
    shop.map("product", pairs)
    one, *_ = pairs
    with syncer():
        _, right = fail(shop, one)
        price(shop, one, right[one] * 20)
        shop.pull()
        before = prices(shop)
        _, end = shop.run("RETRY_FAILED_SYNCS")
        assert (end.data.outcome, end.data.error.code) == ("partial", "ITEMS_HELD")
        assert (prices(shop), set(failed(shop))) == (before, {one})
        _, confirmed = shop.run("RETRY_FAILED_SYNCS", confirm=end.data.metadata["planToken"])
        assert (confirmed.data.outcome, confirmed.data.metadata["updated"]) == ("success", 1)
        assert (prices(shop)[pairs[one]], failed(shop)) == (right[one] * 20, {})


def test_a_retry_that_is_killed_ends_right_and_repeats_one_call(shop: Any, api: Any, syncer: Any) -> None:
    """Killed behind the write and before its checkpoint, the worst moment."""
    pairs = dict(sorted(shop.truth("product").items())[:6])
    shop.settings(write={"price": False}, max_change_share=1.0, sellout_share=1.0)
    shop.map("product", pairs)
    location = next(iter(shop.depot_locations))
    for hub_id in pairs:
        shop.edit("nhanh", "product", int(hub_id), stock={location: 2_000_000_000})
    shop.pull()
    with syncer() as process:
        sync, end = shop.run("PRODUCT_SYNC")
        assert len(failed(shop)) == len(pairs), end
        for number, hub_id in enumerate(pairs):
            shop.edit("nhanh", "product", int(hub_id), stock={location: 40 + number})
        shop.pull()
        before = len(shop.writes())
        shop.fault("slow", seconds=0.3)
        job_id = shop.request("RETRY_FAILED_SYNCS", job_id=sync)
        intents = "select count(*) from syncer.intent where job_id = %(job)s"
        shop.wait_until(lambda: shop.sql(intents, job=job_id) == [(1,)], message="a batch is about to be sent")
        with shop.pool.connection() as blocker:
            blocker.execute("select from syncer.inbox for update")
            shop.wait_until(lambda: len(shop.writes()) > before, message="stock was written")
            process.kill()
            process.wait()
    shop.clear_faults()
    with syncer():
        end = shop.finished(job_id)
    assert (end.data.outcome, end.data.attempt, end.data.counters.successful) == ("success", 2, len(pairs))
    calls = [write["outcome"] for write in shop.writes()[before:]]
    assert calls == ["accepted"] * len(pairs) + ["replayed"] * len(pairs), "one call, repeated once under its key"
    levels = {gid: doc["_levels"][shop.depot_locations[location]] for gid, doc in shop.variants().items()}
    assert [levels[gid] for gid in pairs.values()] == [40 + number for number in range(len(pairs))]
    assert failed(shop) == {}


def test_an_item_that_a_scheduled_sync_is_writing_is_written_once(free: Any, syncer: Any) -> None:
    shop, pairs = free, dict(sorted(free.truth("product").items())[:4])
    shop.map("product", pairs)
    one, *_ = pairs
    with syncer():
        _, right = fail(shop, one)
        price(shop, one, right[one] + 1000)
        shop.pull()
        before = len(shop.writes())
        shop.fault("5xx", says="productVariantsBulkUpdate", count=10_000)
        auto = shop.request("AUTO_SYNC_PRODUCTS")
        open_writes = "select count(*) from syncer.written_change where job_id = %(job)s and written_at is null"
        shop.wait_until(lambda: shop.sql(open_writes, job=auto) == [(1,)], message="the item is about to be written")
        retry, end = shop.run("RETRY_FAILED_SYNCS")
        item = shop.items(retry, 1)[f"product/{one}"].data
        assert (item.action, item.error.code, end.data.outcome) == ("skipped", "BEING_WRITTEN", "success")
        assert set(failed(shop)) == {one}
        shop.clear_faults()
        assert shop.finished(auto).data.outcome == "success"
        accepted = [write["id"] for write in shop.writes()[before:] if write["outcome"] == "accepted"]
        assert (accepted, failed(shop)) == ([pairs[one]], {})
        assert prices(shop)[pairs[one]] == right[one] + 1000


def test_a_job_that_failed_as_a_whole_has_no_items_to_retry(free: Any, syncer: Any) -> None:
    shop = free
    shop.map("product", shop.truth("product"))
    shop.fault("expired_token")
    with syncer():
        sync, end = shop.run("PRODUCT_SYNC")
        assert (end.data.error.category, failed(shop)) == ("INVALID_CREDENTIALS", {})
        assert f"jobtrail jobs retry {sync}" in refused(shop, job_id=sync)
        _, retry = shop.run_directly("RETRY_FAILED_SYNCS", job_id=sync)
    assert retry.data.error.code == "NOTHING_TO_RETRY"
    assert f"jobtrail jobs retry {sync}" in retry.data.error.message


ROWS = {
    "puller.record": "(tenant, account, platform, kind, record_id, content_hash, seen_by_job, seen_at, changed_at)"
    " select %(tenant)s, %(account)s, p, 'product', 'v' || n, 'x', 'test', now(), now()"
    " from generate_series(1, 100000) n, unnest(array['nhanh', 'shopify']) p",
    "puller.variant": "(tenant, account, platform, variant_id, record_id, product_id, price, prices, currency) select"
    " %(tenant)s, %(account)s, p, 'v' || n, 'v' || n, 'p' || n / 3, 1000, '{\"retail\": 1000}', 'VND'"
    " from generate_series(1, 100000) n, unnest(array['nhanh', 'shopify']) p",
    "matcher.match": "(tenant, account, kind, hub_id, remote_id, status, method, score, job_id) select"
    " %(tenant)s, %(account)s, 'product', 'v' || n, 'v' || n, 'auto', 'sku', 1, 'test'"
    " from generate_series(1, 100000) n",
    "syncer.failed_item": "(tenant, account, kind, platform, hub_id, remote_id, job_id, category, code, message,"
    " failed_at, times, failed_in) select %(tenant)s, %(account)s, 'product', 'shopify', 'v' || n, 'v' || n, 'job-1',"
    " 'TIMEOUT', 'X', 'no answer', now(), 1, array['job-1'] from generate_series(1, 100000) n",
}


@pytest.mark.long
def test_a_hundred_thousand_failed_items_are_one_retry(free: Any, syncer: Any) -> None:
    """They are selected by a join: neither the request nor an event names them."""
    shop = free
    for table, rows in ROWS.items():
        shop.sql(f"insert into {table} {rows}")
    shop.sql("analyze")
    with syncer():
        _, end = shop.run("RETRY_FAILED_SYNCS", job_id="job-1")
    assert (end.data.outcome, end.data.counters.total, end.data.metadata["unchanged"]) == ("success", 100_000, 100_000)
    assert (failed(shop), shop.writes()) == ({}, [])
    assert shop.sql("select count(*) from syncer.synced_item") == [(100_000,)]
