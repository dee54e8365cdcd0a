"""The stop on too large a change."""

import pytest

from syncer.domain.plan import Change
from syncer.domain.safety import Extent, suspicion


@pytest.mark.parametrize(
    ("field", "before", "after", "suspicious"),
    [
        ("price", "100", "0", True),
        ("stock@a", "3", "0", True),
        ("price", "100", "1000", True),
        ("price", "100", "999", False),
        ("price", "1000", "100", True),
        ("price", "1000", "101", False),
        ("stock@a", "1", "10", True),
        ("stock@a", "0", "500", False),  # from nothing, every value is new
        ("price", "0.00", "99000", False),
        ("price", None, "99000", False),
        ("stock@a", "0", "0", False),
        ("phone", "1", "1000", False),
        ("nhanh.points", "1", "0", False),
    ],
)
def test_accidents_by_their_looks(field: str, before: str | None, after: str, suspicious: bool) -> None:
    assert (suspicion(Change(field, before, after)) is not None) is suspicious


def extent(known: int, changed: int, unknown: int = 0) -> Extent:
    made = Extent()
    for number in range(known):
        changes = [Change("price", "100", "101")] if number < changed else []
        made.add(str(number), known=True, changes=changes)
    for number in range(unknown):
        made.add(f"new-{number}", known=False, changes=[Change("price", "100", "101")])
    return made


def test_a_first_run_is_not_stopped_by_its_share() -> None:
    assert extent(0, 0, unknown=1000).too_large(0.5, 20) is None


def test_a_known_items_share_stops_the_run() -> None:
    assert extent(100, 50).too_large(0.5, 20) is None
    reason = extent(100, 51).too_large(0.5, 20)
    assert reason is not None
    assert "51 of 100" in reason


def test_few_changes_never_stop_a_run() -> None:
    assert extent(20, 20).too_large(0.5, 20) is None
    assert extent(21, 21).too_large(0.5, 20) is not None


def test_new_items_dilute_nothing() -> None:
    assert extent(100, 51, unknown=1000).too_large(0.5, 20) is not None


def test_one_accident_stops_even_a_first_run_and_the_sentence_is_bounded() -> None:
    made = Extent()
    for number in range(30):
        made.add(f"item-{number}", known=False, changes=[Change("price", "100", "0")])
    reason = made.too_large(1.0, 1000)
    assert reason is not None
    assert "item-0 (price to zero)" in reason
    assert "and 10 more" in reason
    assert "item-25" not in reason
    assert len(reason) < 4096
