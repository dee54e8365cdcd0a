"""`only`: up to 5,000 chosen ids, of which those that no shop knows fail alone, and by name."""

from typing import Any

import pytest

LONGEST = 128


def test_unknown_ids_fail_alone_and_duplicates_count_once(shop: Any, api: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    one, other, unmatched, gone = sorted(pairs)[:4]
    shop.map("product", {name: pairs[name] for name in (one, other)} | {"gone": pairs[gone]})
    before = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC", only=[one, "77777", one, unmatched, other, "gone", "77777"])
    counters, items = end.data.counters, shop.items(job_id, 3 + end.data.metadata["updated"])
    assert (end.data.outcome, counters.total, counters.processed) == ("partial", 5, 5)
    assert (counters.failed, counters.successful, end.data.metadata["failed"]) == (3, 2, 3)
    errors = {name: item.data.error for name, item in items.items() if item.data.action == "failed"}
    assert {name: (error.category, error.code) for name, error in errors.items()} == {
        "77777": ("NOT_FOUND", "NOT_IN_CATALOGUE"),
        unmatched: ("NOT_FOUND", "NOT_LINKED"),
        "gone": ("NOT_FOUND", "NOT_IN_CATALOGUE"),
    }
    assert "pull" in errors["77777"].message
    assert "jobtrail matches list" in errors[unmatched].message
    assert items["77777"].data.ids == {"nhanh": "77777"}
    after = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    assert {gid for gid in after if after[gid] != before[gid]} <= {pairs[one], pairs[other]}


def test_a_customer_that_nobody_knows_fails_and_the_job_with_it(shop: Any, api: Any, syncer: Any) -> None:
    with syncer():
        job_id, end = shop.run("CUSTOMER_SYNC", only=["1"])
    assert (end.data.outcome, end.data.error.code, end.data.counters.total) == ("failure", "ALL_ITEMS_FAILED", 1)
    assert shop.items(job_id, 1)["1"].data.error.code == "NOT_IN_CATALOGUE"
    assert shop.sql("select * from syncer.api_failed_items") == [], "nothing that a retry could write"


def test_a_revert_names_what_its_job_did_not_write(shop: Any, api: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    with syncer():
        sync, done = shop.run("PRODUCT_SYNC")
        one, *_ = sorted(shop.items(sync, done.data.metadata["updated"]))
        job_id, end = shop.run("REVERT_SYNC", job_id=sync, only=[one, "77777", one])
    assert (end.data.outcome, end.data.counters.total, end.data.counters.failed) == ("partial", 2, 1)
    items = {name: item.data for name, item in shop.items(job_id, 2).items()}
    assert (items["77777"].action, items["77777"].error.code) == ("failed", "NOT_WRITTEN")
    assert items[one].action == "updated"


def test_five_thousand_of_the_longest_ids_pass_the_whole_way(shop: Any, api: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    one = sorted(pairs)[0]
    shop.map("product", {one: pairs[one]})
    chosen = [one, *(f"{number:0{LONGEST}}" for number in range(4999))]
    with syncer():
        job_id, end = shop.run("PRODUCT_SYNC", only=chosen)
        assert (end.data.counters.total, end.data.counters.failed) == (5000, 4999)
        assert end.data.counters.processed == 5000
        failed = shop.items(job_id, 4999 + end.data.metadata["updated"])
        assert {name for name in failed if name != one} == set(chosen[1:])


@pytest.mark.parametrize(
    ("only", "status", "says"),
    [
        ([str(number) for number in range(5001)], 422, "params.only"),
        (["1" * 129], 422, "params.only[0]"),
        ([f"{number:04}" + "ờ" * 124 for number in range(5000)], 413, "1,048,576 bytes"),
    ],
    ids=["too many", "too long", "too large"],
)
def test_a_request_that_is_too_large_is_refused_by_name(
    shop: Any, api: Any, only: list[str], status: int, says: str
) -> None:
    answer = shop.ask("PRODUCT_SYNC", only=only)
    assert answer.status_code == status
    assert says in answer.text
