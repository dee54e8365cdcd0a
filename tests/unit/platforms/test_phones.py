"""Phones as people type them are found under one form, and nothing that was typed is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.phones import alternates, searchable

SAME = [
    "0912345678",
    "912345678",
    "84912345678",
    "+84912345678",
    "0084912345678",
    "+84 (0) 912 345 678",
    "+840912345678",
    "840912345678",
    "00840912345678",
    "0912.345.678",
    "0912-345-678",
    " 0912 345 678",
    "(0912) 345 678",
    "０９１２３４５６７８",
    "'0912345678",
    "O912345678",
    "tel:+84912345678",
    "0912345678 (zalo)",
    "912345678.0",
]


@pytest.mark.parametrize("raw", SAME)
def test_one_number_in_all_its_forms(raw: str) -> None:
    assert searchable(raw) == ["+84912345678"]


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        ("0912345678/0987654321", ["+84912345678", "+84987654321"]),
        ("0912345678, 0912.345.678", ["+84912345678"]),
        ("0912345678 - 0987654321", ["+84912345678", "+84987654321"]),
        ("845123456", ["+84845123456"]),  # an 084 number without its zero, not a country code
        ("01621234567", ["+841621234567"]),  # of before 2018: the matcher knows what it became
        ("02838251234", ["+842838251234"]),
        ("19001234", ["19001234"]),
        ("+1 650-555-0100", ["+16505550100"]),
        ("không có", []),
        ("123", []),
    ],
)
def test_other_things_people_type(raw: str, numbers: list[str]) -> None:
    assert searchable(raw) == numbers


def test_alternates_keep_what_cannot_be_read_and_their_order() -> None:
    raws = ["hỏi chị Lan", None, "0987654321", "84912345678", "+84987654321"]
    assert alternates(raws) == ("hỏi chị Lan", "+84987654321", "+84912345678")


@given(st.lists(st.text(min_size=1) | st.none(), max_size=4))
def test_no_text_vanishes(raws: list[str | None]) -> None:
    found = alternates(raws)
    assert len(found) == len(set(found))
    for raw in raws:
        if raw is not None:
            assert set(searchable(raw) or [raw]) <= set(found)
