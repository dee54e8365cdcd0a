"""REVERT_SYNC takes back what a sync wrote, where nobody has changed it since."""

from typing import Any


def held(shop: Any) -> dict[str, tuple[str, dict[str, int]]]:
    return {gid: (doc["price"], doc["_levels"]) for gid, doc in shop.variants().items()}


def number_of(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def test_a_product_sync_is_taken_back(shop: Any, syncer: Any) -> None:
    before = held(shop)
    pairs = shop.truth("product")
    shop.map("product", pairs)
    with syncer():
        sync, end = shop.run("PRODUCT_SYNC")
        after, writes = held(shop), len(shop.writes())
        assert before != after

        dry_id, dry = shop.run("REVERT_SYNC", job_id=sync, dry_run=True)
        assert (dry.data.outcome, dry.data.metadata["wouldUpdate"]) == ("success", end.data.metadata["updated"])
        items = shop.items(dry_id, end.data.metadata["updated"])
        assert all(one.data.changes and one.data.action == "would_update" for one in items.values())
        assert (held(shop), len(shop.writes())) == (after, writes)

        one, *_ = sorted(items)
        _, chosen = shop.run("REVERT_SYNC", job_id=sync, only=[one])
        assert (chosen.data.outcome, chosen.data.counters.total) == ("success", 1)
        assert held(shop) == after | {pairs[one]: before[pairs[one]]}

        _, back = shop.run("REVERT_SYNC", job_id=sync)
        assert (back.data.outcome, back.data.metadata["updated"]) == ("success", end.data.metadata["updated"] - 1)
        assert held(shop) == before

        _, again = shop.run("PRODUCT_SYNC")
        assert again.data.metadata["conflicts"] == 0
        assert held(shop) == after


def test_what_somebody_changed_since_is_left_and_named(shop: Any, syncer: Any) -> None:
    shop.settings(write={"stock": False})
    before = held(shop)
    pairs = shop.truth("product")
    shop.map("product", pairs)
    with syncer():
        sync, end = shop.run("PRODUCT_SYNC")
        changed = [nhanh for nhanh, gid in sorted(pairs.items()) if held(shop)[gid] != before[gid]]
        assert len(changed) == end.data.metadata["updated"] > 1
        gid = pairs[changed[0]]
        theirs = f"{float(shop.variants()[gid]['price']) + 77:.2f}"
        shop.edit("shopify", "variant", number_of(gid), set={"price": theirs})
        job_id, back = shop.run("REVERT_SYNC", job_id=sync)
        assert (back.data.counters.skipped, back.data.metadata["updated"]) == (1, len(changed) - 1)
        left = shop.items(job_id, len(changed))[changed[0]].data
        assert (left.action, left.error.code) == ("skipped", "CHANGED_SINCE")
        assert held(shop) == before | {gid: (theirs, before[gid][1])}


def test_a_suspicious_value_of_before_is_held_until_it_is_confirmed(shop: Any, syncer: Any) -> None:
    shop.settings(write={"stock": False})
    pairs = shop.truth("product")
    hub_id = min(pairs)
    gid = pairs[hub_id]
    price = float(shop.variants()[gid]["price"])
    shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": price / 5}})
    shop.pull()
    shop.map("product", {hub_id: gid})
    with syncer():
        sync, _ = shop.run("PRODUCT_SYNC")
        shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": price / 20}})
        shop.pull()
        second, _ = shop.run("PRODUCT_SYNC")
        assert float(shop.variants()[gid]["price"]) == price / 20
        _, other = shop.run("REVERT_SYNC", job_id=sync)
        assert other.data.counters.skipped == 1  # no longer what that sync wrote
        _, back = shop.run("REVERT_SYNC", job_id=second)
        assert float(shop.variants()[gid]["price"]) == price / 5
        _, first = shop.run("REVERT_SYNC", job_id=sync)
        assert (back.data.outcome, first.data.outcome) == ("success", "success")
        assert float(shop.variants()[gid]["price"]) == price

        # A revert is a sync like any other: it can be taken back, too, and its guards hold.
        shop.edit("nhanh", "product", int(hub_id), set={"prices": {"retail": price * 11}})
        shop.pull()
        _, stopped = shop.run("PRODUCT_SYNC")
        huge, _ = shop.run("PRODUCT_SYNC", confirm=stopped.data.metadata["planToken"])
        assert float(shop.variants()[gid]["price"]) == price * 11
        _, waits = shop.run("REVERT_SYNC", job_id=huge)
        assert (waits.data.outcome, waits.data.error.code) == ("partial", "ITEMS_HELD")
        assert float(shop.variants()[gid]["price"]) == price * 11
        _, done = shop.run("REVERT_SYNC", job_id=huge, confirm=waits.data.metadata["planToken"])
        assert done.data.outcome == "success"
        assert float(shop.variants()[gid]["price"]) == price


def words(*parts: str | None) -> list[str]:
    """A name's words in any order: shops split names in their own way."""
    return sorted(word for part in parts if part for word in part.split())


def test_a_customer_sync_is_taken_back_and_what_was_empty_is_empty_again(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("customer")
    names = {doc["id"]: words(doc["firstName"], doc["lastName"]) for doc in shop.records("shopify", "customer")}
    contacts = {doc["id"]: doc["defaultPhoneNumber"] for doc in shop.records("shopify", "customer")}
    shop.map("customer", pairs)
    with syncer():
        sync, end = shop.run("CUSTOMER_SYNC")
        after = {doc["id"]: doc["defaultPhoneNumber"] for doc in shop.records("shopify", "customer")}
        assert any(contacts[gid] is None and after[gid] is not None for gid in after)
        _, back = shop.run("REVERT_SYNC", job_id=sync)
        assert (back.data.outcome, back.data.counters.failed) == ("success", 0)
    docs = {doc["id"]: doc for doc in shop.records("shopify", "customer")}
    assert {gid: doc["defaultPhoneNumber"] for gid, doc in docs.items()} == contacts
    assert {gid: words(doc["firstName"], doc["lastName"]) for gid, doc in docs.items()} == names
    assert end.data.metadata["updated"] == len(pairs)


def test_a_job_that_wrote_nothing_cannot_be_taken_back(shop: Any, syncer: Any) -> None:
    with syncer():
        _, end = shop.run("REVERT_SYNC", job_id="nobody")
    assert (end.data.outcome, end.data.error.code) == ("failure", "NOTHING_TO_REVERT")
    assert "nobody" in end.data.error.message
