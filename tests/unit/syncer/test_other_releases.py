"""Checkpoints and intents that pass between this release and one without guards, while both run."""

from typing import Any

import msgspec
import pytest

from syncer.domain.plan import Change, Decision, is_outdated
from syncer.jobs.planning import PlanCursor, read_cursor
from syncer.store.plans import FieldOutcome, Intended, Intent, Item, read_intent, stored_form

PRICE = Change("price", "90", "900")
OLD: dict[str, Any] = {"phase": "write", "next": 3, "batches": 9, "reason": None}


def test_a_dry_run_that_was_begun_there_writes_nothing_here() -> None:
    """There a dry run is told by its parameter alone."""
    assert read_cursor(OLD, dry_run=True) == PlanCursor("list", 3, 9)
    assert read_cursor(OLD, dry_run=False) == PlanCursor("write", 3, 9)


def test_the_reason_of_a_stopped_run_is_kept() -> None:
    stopped = {**OLD, "phase": "list", "reason": "9 of 10 would change"}
    assert read_cursor(stopped, dry_run=False).stop == "9 of 10 would change"
    assert msgspec.to_builtins(PlanCursor("list", 0, 9, "9 of 10 would change"))["reason"] == "9 of 10 would change"


def test_a_run_that_goes_on_there_in_spite_of_a_reason_is_not_stopped() -> None:
    assert read_cursor({**OLD, "reason": "9 of 10 would change"}, dry_run=False).stop is None


@pytest.mark.parametrize("step", [1, 2])
def test_what_is_held_back_here_is_not_written_there(step: int) -> None:
    held = Intended("41", "gid://1", Decision(write=(PRICE,), same=("sku",)), {"levels": "gid://2"}, held="ten times")
    free = Intended("42", "gid://3", Decision(write=(PRICE,)))
    intent = Intent(step, (held, free), (), (held, free))
    stored = stored_form(intent)
    for part in ("items", "again"):
        assert [len(one["decision"]["write"]) for one in stored[part]] == [0, 1]
        assert [(one["error"] or {}).get("message") for one in stored[part]] == ["ten times", None]
    assert read_intent(stored) == intent


def test_items_are_stored_under_the_names_that_are_read_there() -> None:
    item = Item("41", "gid://1", {"price": "900"}, (PRICE,))
    intent = Intent(2, (Intended("41", "gid://1"),), (FieldOutcome("gid://1", "price"),))
    stored = stored_form(intent)
    assert stored["settled"][0]["shopify_id"] == "gid://1"
    for one in (msgspec.to_builtins(item), stored["items"][0]):
        assert (one["nhanh_id"], one["shopify_id"]) == ("41", "gid://1")
    assert msgspec.convert(msgspec.to_builtins(item), Item) == item


def test_an_intent_from_there_is_read_as_it_is() -> None:
    there = {"step": 1, "items": [{"nhanh_id": "41", "shopify_id": "gid://1", "decision": {"write": [PRICE]}}]}
    assert read_intent(msgspec.to_builtins(there)) == Intent(1, (Intended("41", "gid://1", Decision((PRICE,))),))


@pytest.mark.parametrize(
    ("wanted", "outdated"),
    [
        ({"price": "52000", "stock@a": "5"}, False),  # spelled otherwise
        ({"price": "52000.5", "stock@a": "5"}, True),
        ({"price": "52000"}, True),  # its stock is no longer ours to write
        ({"price": "52000", "stock@a": "5", "name": "An"}, False),  # more is wanted: the next plan sees it
    ],
)
def test_a_plan_is_outdated_by_another_value_and_by_no_other_spelling(wanted: dict[str, str], outdated: bool) -> None:
    assert is_outdated({"price": "52000.00", "stock@a": "5"}, wanted) is outdated
