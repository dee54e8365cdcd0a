"""Which changes are held back, and which stop a run."""

from typing import Any

import pytest

from platforms.settings import AccountSettings
from syncer.domain.fields import last_written_of
from syncer.domain.guard import AccountState, AccountTotals, ItemChanges, check_batch, sells_out, suspicion, unapproved
from syncer.domain.plan import Change

SETTINGS = AccountSettings()


def same_words(before: str | None, after: str | None) -> bool:
    return (before or "").split() == (after or "").split()


@pytest.mark.parametrize(
    ("field", "before", "after", "suspicious"),
    [
        ("price", "100", "0", True),
        ("price", "100", "0.00", True),
        ("price", "100", "1000", True),
        ("price", "100", "999", False),
        ("price", "1000", "100", True),
        ("price", "1000", "101", False),
        ("price", "0.00", "99000", False),  # from nothing, every price is new
        ("price", None, "99000", False),
        ("stock@a", "3", "0", False),  # judged by its share
        ("stock@a", "1", "1000", False),  # goods came in
        ("phone", "1", "1000", False),
        ("nhanh.points", "1", "0", False),
        ("name", "Lan", "Lan", False),
        ("name", "Lan", "Nam", True),
    ],
)
def test_accidents_by_their_looks(field: str, before: str | None, after: str, suspicious: bool) -> None:
    assert (suspicion(Change(field, before, after), same_words) is not None) is suspicious


@pytest.mark.parametrize(
    ("before", "after", "out"), [("3", "0", True), ("0", "0", False), (None, "0", False), ("3", "1", False)]
)
def test_stock_that_goes_to_zero_is_told_from_stock_that_never_was(before: str | None, after: str, out: bool) -> None:
    assert sells_out([Change("price", "5", "0"), Change("stock@a", before, after)]) is out


def items(count: int, *changes: Change, known: bool = True, first: int = 0) -> list[ItemChanges]:
    return [ItemChanges(f"gid-{number}", known, changes) for number in range(first, first + count)]


PRICE = Change("price", "100", "101")
SOLD_OUT = Change("stock@a", "4", "0")


def judged(made: list[ItemChanges], *, settings: AccountSettings = SETTINGS, **state: int) -> Any:
    totals = AccountTotals(*(state.pop(name, 0) for name in ("mapped", "known", "stocked")))
    return check_batch(made, AccountState(totals, **state), settings, same_words)


def test_a_first_run_is_not_stopped_by_its_share() -> None:
    assert judged(items(1000, PRICE, known=False), known=0).stop is None


def test_more_than_the_share_of_the_known_items_stops_the_run() -> None:
    assert judged(items(50, PRICE), known=100).stop is None
    assert "51 of 100 known items" in judged(items(51, PRICE), known=100).stop


def test_a_shop_of_twenty_items_has_a_guard() -> None:
    assert judged(items(10, PRICE), known=20).stop is None
    assert judged(items(11, PRICE), known=20).stop is not None


def test_five_changes_never_stop_a_run() -> None:
    assert judged(items(5, PRICE), known=5).stop is None
    assert judged(items(6, PRICE), known=6).stop is not None


def test_new_items_dilute_nothing() -> None:
    assert judged([*items(51, PRICE), *items(1000, PRICE, known=False, first=51)], known=100).stop is not None


def test_what_the_last_hour_has_changed_counts() -> None:
    assert judged(items(10, PRICE), known=100, changed=40).stop is None
    stop = judged(items(11, PRICE), known=100, changed=40).stop
    assert "51 of 100 known items would change, 40 of them by syncs of the last hour" in stop


def test_our_own_metafields_are_no_change_that_anybody_buys_by() -> None:
    assert judged(items(100, Change("nhanh.points", "1", "2")), known=100).stop is None
    assert judged(items(100, Change("nhanh.points", "1", "2"), Change("phone", "1", "2")), known=100).stop is not None


def test_many_names_of_other_people_stop_even_a_first_run() -> None:
    renamed = items(6, Change("name", "Lan", "Nam"), known=False)
    assert "6 of 10 customers would get another person's name" in judged(renamed, mapped=10).stop
    assert judged(renamed, mapped=12).stop is None
    assert judged(renamed, mapped=12).held["gid-5"] == "the name would become another person's"


def test_a_few_sell_outs_are_usual_and_many_at_once_are_held() -> None:
    assert judged(items(5, SOLD_OUT), known=1000, stocked=10).held == {}
    assert judged(items(20, SOLD_OUT), known=1000, stocked=100).held == {}
    held = judged(items(21, SOLD_OUT), known=1000, stocked=100).held
    assert len(held) == 21
    assert "21 of 100 items with stock" in held["gid-0"]


def test_sell_outs_of_the_last_hour_count() -> None:
    held = judged(items(1, SOLD_OUT), known=1000, stocked=100, sold_out=20).held
    assert "21 of 100 items with stock would go to zero, 20 of them by syncs of the last hour" in held["gid-0"]


def test_only_the_items_that_sell_out_are_held_for_it() -> None:
    made = [*items(21, SOLD_OUT), *items(3, PRICE, first=21)]
    assert judged(made, known=1000, stocked=100).held.keys() == {f"gid-{number}" for number in range(21)}


def test_a_plan_that_holds_sell_outs_holds_them_in_every_batch() -> None:
    found = check_batch(
        items(1, SOLD_OUT), AccountState(AccountTotals(1000, 1000, 1000)), SETTINGS, same_words, "too many"
    )
    assert found.held == {"gid-0": "too many"}


def test_every_reason_is_told() -> None:
    made = items(21, SOLD_OUT, Change("price", "100", "0"))
    reason = judged(made, known=1000, stocked=100).held["gid-3"]
    assert "the price would go from 100 to zero; the stock of 21" in reason


def test_confirmed_changes_are_judged_by_no_rule() -> None:
    change = Change("price", "100", "1000")
    approved = {("gid-0", "price"): (last_written_of("price", "100"), last_written_of("price", "1000"))}
    assert unapproved("gid-0", [change], approved, exactly=True) == ()
    assert unapproved("gid-1", [change], approved, exactly=True) == (change,)


@pytest.mark.parametrize("moved", [Change("price", "90", "1000"), Change("price", None, "1000")])
def test_a_value_that_moved_since_it_was_shown_is_judged_anew(moved: Change) -> None:
    approved = {("gid-0", "price"): (last_written_of("price", "100"), last_written_of("price", "1000"))}
    assert unapproved("gid-0", [moved], approved, exactly=True) == (moved,)
    assert unapproved("gid-0", [moved], approved, exactly=False) == ()


def test_another_value_than_the_one_shown_is_never_approved() -> None:
    approved = {("gid-0", "price"): (last_written_of("price", "100"), last_written_of("price", "1000"))}
    other = Change("price", "100", "2000")
    assert unapproved("gid-0", [other], approved, exactly=False) == (other,)
