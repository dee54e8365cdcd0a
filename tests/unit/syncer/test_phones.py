"""Phone numbers in one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.phones import alternates
from syncer.domain.phones import RENUMBERED, present_form, spellings


@pytest.mark.parametrize(
    "text",
    [
        *("+84912345678", "0912345678", "84912345678", "0084912345678", "+84 (0) 912 345 678", "0912.345.678"),
        *("840912345678", "+840912345678", "０９１２３４５６７８", " 0912-345-678 "),
    ],
)
def test_spellings_of_one_number(text: str) -> None:
    assert present_form(text) == "+84912345678"


@pytest.mark.parametrize("text", ["01621234567", "+841621234567", "+84321234567", "0321234567", "841621234567"])
def test_the_numbering_of_before_2018_is_the_same_number(text: str) -> None:
    assert present_form(text) == "+84321234567"
    assert {"+841621234567", "+84321234567"} <= spellings(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+14155552671", "+14155552671"), ("khong co", "khong co"), ("", ""), ("12345", "12345"), ("+", "+")],
)
def test_other_texts(text: str, expected: str) -> None:
    assert present_form(text) == expected


@given(st.sampled_from([*RENUMBERED, "91", "98", "24", "28"]), st.integers(0, 9_999_999))
def test_every_number_of_the_catalogue_keeps_one_form(prefix: str, rest: int) -> None:
    (number,) = alternates([f"0{prefix}{rest:07d}"])
    assert present_form(number) == present_form(f"0{prefix}{rest:07d}")
    assert present_form(present_form(number)) == present_form(number)
    assert {present_form(one) for one in spellings(number)} == {present_form(number)}
