"""What differs between hub and channel, and who wrote what the channel holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.field_names import stock_at
from syncer.domain.drift import find_drift, last_write_of
from syncer.domain.fields import last_written_of
from syncer.domain.plan import Change, ConflictRules, LastWritten, decide

STOCK = stock_at("A")
NAMES = st.sampled_from(["price", STOCK, stock_at("B")])
VALUES = st.sampled_from(["0", "1", "10", "10.00", "100"])
FIELDS = st.dictionaries(NAMES, VALUES)


def wrote(pending: dict[str, str] | None = None, **fields: str) -> LastWritten:
    def stored(values: dict[str, str]) -> dict[str, str]:
        return {name: last_written_of(name, value) for name, value in values.items()}

    return LastWritten(stored(fields), stored(pending or {}))


def test_the_same_value_in_another_form_is_no_drift() -> None:
    assert find_drift({"price": "120000"}, {"price": "120000.00"}, wrote(), ConflictRules()) is None


@pytest.mark.parametrize(
    ("last_written", "whose"),
    [
        (wrote(), "never"),
        (wrote(price="90.00"), "ours"),
        (wrote(price="80"), "other"),
        (wrote(pending={"price": "90"}, price="80"), "ours"),
        (wrote(pending={"price": "90"}), "ours"),
        (wrote(pending={"price": "70"}), "never"),
    ],
)
def test_who_wrote_what_the_channel_holds(last_written: LastWritten, whose: str) -> None:
    drift = find_drift({"price": "100"}, {"price": "90"}, last_written, ConflictRules())
    assert drift is not None
    assert (drift.last_write, drift.changes) == (whose, (Change("price", "90", "100"),))
    assert (drift.of_price, drift.of_stock) == (True, False)


def test_of_several_fields_the_one_that_needs_a_look_counts() -> None:
    wanted, present = {"price": "100", STOCK: "3"}, {"price": "90", STOCK: "4"}

    def whose(last_written: LastWritten) -> Any:
        drift = find_drift(wanted, present, last_written, ConflictRules())
        assert drift is not None
        assert drift.of_price
        assert drift.of_stock
        return drift.last_write

    assert whose(LastWritten({"price": "90", STOCK: "4"})) == "ours"
    assert whose(LastWritten({"price": "90"})) == "never"
    assert whose(LastWritten({"price": "90", STOCK: "5"})) == "other"
    assert whose(LastWritten({STOCK: "5"})) == "other"


@given(FIELDS, FIELDS, FIELDS, st.sampled_from(["nhanh_wins", "keep_platform"]))
def test_drift_is_what_a_sync_would_write_or_keep(
    wanted: dict[str, str], present: dict[str, str], stored: dict[str, str], rule: Any
) -> None:
    rules, last_written = ConflictRules(rule, rule), wrote(None, **stored)
    decision = decide(wanted, present, last_written, rules)
    drift = find_drift(wanted, present, last_written, rules)
    assert {*(drift.changes if drift else ())} == {*decision.write, *decision.kept}
    for change in drift.changes if drift else ():
        in_conflict = change.field in {*decision.overwritten, *(kept.field for kept in decision.kept)}
        assert in_conflict == (last_write_of(change.field, change.before, last_written) == "other")
