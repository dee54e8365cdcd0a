"""What a safety case notices: every difference between what is expected and what is found gives a line."""

from typing import Any

import pytest
from tests.safety import compare
from tests.safety.case import Expect, ItemExpectation, JobExpectation

LINK = {"hub_id": "501", "remote_id": "gid://shopify/ProductVariant/60101", "status": "auto", "method": "sku"}
ROWS = [
    {**LINK, "score": 0.99, "reason": None},
    {**LINK, "hub_id": "502", "status": "review", "score": 0.5, "reason": "the SKUs differ"},
]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({}, {"601": {"price": ["5"]}}),
        ({"601": {"price": 5}}, {}),
        ({"601": {"price": 5}}, {"601": {"price": ["6"]}}),
        ({"601": {"price": 5}}, {"601": {"price": ["5", "5"]}}),
        ({"601": {"price": 5}}, {"601": {"price": ["5"], "stock": ["1"]}}),
        ({"601": {"price": 5}}, {"602": {"price": ["5"]}}),
        ({"601": {"name": "An"}}, {"601": {"name": [""]}}),
    ],
)
def test_any_other_write_is_a_difference(expected: Any, found: Any) -> None:
    assert compare.writes(expected, found)


def test_equal_writes_are_none() -> None:
    found = {"601": {"price": ["900000.00"], "stock": ["5"]}, "602/2": {"price": ["1", "2"]}}
    assert compare.writes({"601/1": {"price": 900000, "stock": 5}, "602/2": {"price": [1, 2]}}, found) == []


def test_equal_differences_share_a_line() -> None:
    found = {str(number): {"price": ["20000.00"]} for number in range(1, 61)}
    (line,) = compare.writes({}, found)
    assert "price written to 1, 2, 3, 4 and 56 more" in line
    assert "expected nothing" in line and "found    20000.00" in line


def test_links_are_compared_whole() -> None:
    assert compare.links({"501": "601"}, ROWS) == []
    assert "found    601 (auto by sku" in compare.links({}, ROWS)[0]
    assert len(compare.links({"501": "602"}, ROWS)) == 1
    missing = compare.links({"501": "601", "502": "601"}, ROWS)
    assert len(missing) == 1 and "601 for review (the SKUs differ)" in missing[0]


def test_reviews_are_there_with_their_reason() -> None:
    assert compare.reviews({"502": {"601": "sku|code"}}, ROWS) == []
    assert compare.reviews({"502": {"601": "barcode"}}, ROWS)
    assert compare.reviews({"501": {"601": ""}}, ROWS)
    assert compare.reviews({}, ROWS)
    assert compare.reviews({}, ROWS[:1]) == []


def test_a_job_ends_as_expected() -> None:
    ended = {
        "outcome": "partial",
        "error": {"category": "CONFLICT", "code": "ITEMS_HELD", "message": "1 item is held"},
        "counters": {"successful": 1},
        "metadata": {"held": 1},
    }
    assert compare.job("sync", "partial", ended) == []
    assert compare.job("sync", "partial ITEMS_HELD", ended) == []
    assert compare.job("sync", "partial CONFLICT", ended) == []
    assert compare.job("sync", "success", ended)
    assert compare.job("sync", "partial WOULD_STOP", ended)
    assert compare.job("sync", JobExpectation(), ended) == []
    assert compare.job("sync", JobExpectation(message="held", metadata={"held": 1}), ended) == []
    assert compare.job("sync", JobExpectation(metadata={"held": 2}), ended)
    assert compare.job("sync", JobExpectation(counters={"successful": 2}), ended)
    assert compare.job("sync", JobExpectation(message="stopped"), ended)
    assert compare.job("sync", "success", None)


def test_held_items_are_all_of_them() -> None:
    held = {"item": "501", "action": "skipped", "error": None, "held": "the price falls to a tenth", "changes": []}
    assert compare.items(Expect(held={"501": "price"}), [held]) == []
    assert compare.items(Expect(held={"501": "stock"}), [held])
    assert compare.items(Expect(held={}), [held])
    assert compare.items(Expect(held={"501": "price", "502": ""}), [held])
    assert compare.items(Expect(held={"501": ""}), [{**held, "held": None}])


def test_an_item_is_told_as_expected() -> None:
    change = {"name": "stock@gid://shopify/Location/90100000002", "before": "5", "after": "6"}
    item = {"item": "501", "action": "would_update", "error": None, "about": {"sku": "CF-1"}, "changes": [change]}
    right = ItemExpectation(action="would_update", about={"sku": "cf-1"}, changes={"stock2": [5, 6]})
    assert compare.items(Expect(items={"501": right}), [item]) == []
    for wrong in (
        ItemExpectation(action="updated"),
        ItemExpectation(error="STALE"),
        ItemExpectation(about={"title": "x"}),
        ItemExpectation(changes={"stock": [5, 6]}),
        ItemExpectation(changes={"stock2": [5, 7]}),
        ItemExpectation(held="price"),
    ):
        assert compare.items(Expect(items={"501": wrong}), [item])
    assert compare.items(Expect(items={"502": right}), [item])


def test_values_in_the_shop() -> None:
    found = {"601": {"price": "65000.00", "name": ""}}
    assert compare.holds({"601": {"price": 65000}}, found) == []
    assert compare.holds({"601": {"price": 65001}}, found)
    assert compare.holds({"602": {"price": 65000}}, found)


def test_calls_that_come_too_soon_after_a_refusal() -> None:
    calls = [
        {"seq": 1, "time": 10.0, "faults": ["429"]},
        {"seq": 2, "time": 11.0, "faults": ["429"]},
        {"seq": 3, "time": 11.2, "faults": []},
        {"seq": 4, "time": 11.3, "faults": []},
    ]
    assert len(compare.waits(0.9, calls)) == 1
    assert compare.waits(0.1, calls) == []
