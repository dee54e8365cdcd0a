"""Unchanged, update or conflict."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.domain.fields import key_of, last_written_of
from syncer.domain.plan import (
    Change,
    ConflictRules,
    Decision,
    LastWritten,
    decide,
    decide_again,
    decide_revert,
    expected_changes,
    new_agreements,
)

PULLED = datetime(2026, 11, 1, tzinfo=UTC)
LATER, EARLIER = PULLED + timedelta(minutes=1), PULLED - timedelta(minutes=1)
VALUES = st.sampled_from(["0", "1", "10", "100.00", "100"])


def both(rule: Any) -> ConflictRules:
    return ConflictRules(rule, rule)


def wrote(at: datetime | None = LATER, **fields: str) -> LastWritten:
    return LastWritten({name: last_written_of(name, value) for name, value in fields.items()}, {}, at)


def test_what_the_pull_shows_right_costs_nothing() -> None:
    assert expected_changes({"price": "100"}, {"price": "100.00"}, PULLED, LastWritten()) == ()


def test_what_we_wrote_after_the_pull_costs_nothing() -> None:
    assert expected_changes({"price": "100"}, {"price": "90"}, PULLED, wrote(price="100")) == ()


def test_a_pull_after_our_write_is_the_newer_word() -> None:
    changes = expected_changes({"price": "100"}, {"price": "90"}, PULLED, wrote(EARLIER, price="100"))
    assert changes == (Change("price", "90", "100"),)


def test_a_new_value_changes_from_what_we_wrote() -> None:
    changes = expected_changes({"price": "120"}, {"price": "90"}, PULLED, wrote(price="100"))
    assert changes == (Change("price", "100", "120"),)


def test_what_no_pull_knows_is_believed_to_be_what_we_wrote() -> None:
    desired = {"nhanh.points": "5"}
    assert expected_changes(desired, {}, PULLED, wrote(EARLIER, **desired)) == ()
    assert expected_changes(desired, {}, PULLED, LastWritten()) == (Change("nhanh.points", None, "5"),)
    assert expected_changes({"nhanh.points": "6"}, {}, PULLED, wrote(EARLIER, **desired)) == (
        Change("nhanh.points", None, "6"),  # only a hash is known of the old one
    )


def test_a_first_write_is_no_conflict() -> None:
    decision = decide({"price": "100"}, {"price": "90.00"}, LastWritten(), both("keep_platform"))
    assert decision == Decision(write=(Change("price", "90.00", "100"),))


def test_our_own_old_value_is_no_conflict() -> None:
    decision = decide({"price": "100"}, {"price": "90.00"}, wrote(price="90"), both("keep_platform"))
    assert (decision.write, decision.kept) == ((Change("price", "90.00", "100"),), ())


@pytest.mark.parametrize("rule", ["nhanh_wins", "keep_platform"])
def test_somebody_elses_value_is_a_conflict(rule: str) -> None:
    change = Change("price", "95.00", "100")
    decision = decide(
        {"price": "100", "stock@a": "5"}, {"price": "95.00", "stock@a": "5"}, wrote(price="90"), both(rule)
    )
    assert decision.same == ("stock@a",)
    if rule == "nhanh_wins":
        assert decision == Decision((change,), ("stock@a",), ("price",), ())
    else:
        assert decision == Decision((), ("stock@a",), (), (change,))


def test_a_value_whose_answer_was_lost_counts_as_ours() -> None:
    memory = LastWritten({"price": "90"}, {"price": "95"}, LATER)
    decision = decide({"price": "100"}, {"price": "95.00"}, memory, both("keep_platform"))
    assert decision.write == (Change("price", "95.00", "100"),)


@given(
    desired=st.dictionaries(st.sampled_from(["price", "stock@a", "stock@b"]), VALUES),
    present=st.dictionaries(st.sampled_from(["price", "stock@a", "stock@b"]), VALUES | st.none()),
    written=st.dictionaries(st.sampled_from(["price", "stock@a", "stock@b"]), VALUES),
    rule=st.sampled_from(["nhanh_wins", "keep_platform"]),
)
def test_every_field_is_same_written_or_kept_and_conflicts_need_three_values(
    desired: dict[str, str], present: dict[str, str | None], written: dict[str, str], rule: str
) -> None:
    decision = decide(desired, present, wrote(**written), both(rule))
    groups = [decision.same, tuple(c.field for c in decision.write), tuple(c.field for c in decision.kept)]
    assert sorted(name for group in groups for name in group) == sorted(desired)
    for name in (*decision.overwritten, *(change.field for change in decision.kept)):
        keys = {key_of(name, desired[name]), key_of(name, present.get(name)), key_of(name, written[name])}
        assert key_of(name, present.get(name)) not in {key_of(name, desired[name]), key_of(name, written[name])}
        assert len(keys) >= 2
    assert not (decision.kept and rule == "nhanh_wins")
    assert all(key_of(name, present.get(name)) == key_of(name, desired[name]) for name in decision.same)


DECIDED = Decision((Change("price", "90.00", "100"), Change("stock@a", "1", "5")), ("name",), ("price",), ())
LOST = LastWritten({"price": "90", "stock@a": "1"}, {"price": "100", "stock@a": "5"}, LATER)


@pytest.mark.parametrize("price", ["90", "100"], ids=["never sent", "sent, and the answer lost"])
@pytest.mark.parametrize("stock", ["1", "5"])
def test_what_nobody_else_touched_is_sent_again_as_it_was(price: str, stock: str) -> None:
    assert decide_again(DECIDED, {"price": price, "stock@a": stock}, LOST, both("keep_platform")) == DECIDED


def test_what_somebody_set_between_two_attempts_is_decided_anew() -> None:
    kept = decide_again(DECIDED, {"price": "95", "stock@a": "1"}, LOST, both("keep_platform"))
    assert kept == Decision(DECIDED.write[1:], ("name",), (), (Change("price", "95", "100"),))
    won = decide_again(DECIDED, {"price": "90", "stock@a": "7"}, LOST, both("nhanh_wins"))
    assert won == Decision((DECIDED.write[0], Change("stock@a", "7", "5")), ("name",), ("price", "stock@a"), ())


def test_stock_has_a_rule_of_its_own() -> None:
    rules = ConflictRules(fields="keep_platform", stock="nhanh_wins")
    desired, present = {"price": "100", "stock@a": "5"}, {"price": "95", "stock@a": "9"}
    decision = decide(desired, present, wrote(price="90", **{"stock@a": "10"}), rules)
    assert decision.write == (Change("stock@a", "9", "5"),)
    assert decision.kept == (Change("price", "95", "100"),)


def test_what_a_pull_shows_right_is_remembered_once() -> None:
    desired, catalogue = {"price": "100", "stock@a": "5"}, {"price": "100.00", "stock@a": "5"}
    found = new_agreements(desired, catalogue, LastWritten())
    assert found == {"price": last_written_of("price", "100"), "stock@a": last_written_of("stock@a", "5")}
    assert new_agreements(desired, catalogue, LastWritten(found)) == {}


def test_an_agreement_replaces_what_was_written_before_it() -> None:
    """The shop sold one, the hub came to know of it: 9 is ours now, and the hub's next sale is no conflict."""
    memory = wrote(**{"stock@a": "10"})
    assert new_agreements({"stock@a": "9"}, {"stock@a": "9"}, memory) == {"stock@a": last_written_of("stock@a", "9")}
    assert new_agreements({"stock@a": "9"}, {"stock@a": "10"}, memory) == {}
    assert new_agreements({"nhanh.points": "9"}, {}, memory) == {}


def test_a_revert_writes_only_where_the_shop_holds_what_the_sync_wrote() -> None:
    before, wrote_ = {"price": "90", "stock@a": "1", "phone": ""}, {"price": "100", "stock@a": "5", "phone": "+84"}
    decision = decide_revert(before, wrote_, {"price": "100.00", "stock@a": "4", "phone": None})
    assert decision.write == (Change("price", "100.00", "90"),)
    assert decision.moved == (Change("stock@a", "4", "1"),)
    assert decision.same == ("phone",)
