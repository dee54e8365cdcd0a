"""Values from outside: one normal form of text, codes without what nobody sees, numbers that mean one thing."""

import unicodedata
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.errors import NotANumber
from platforms.values import code_text, decimal_of, json_number, normal_text, price_of

ZERO_WIDTH = ["\ufeff", "\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\u200e", "\u200f", "\u202e", "\u2066"]
BLANKS = ["\u00a0", "\u202f", "\u2009", "\u3000", " ", "\t", "\r\n"]


@pytest.mark.parametrize("name", ["Cà phê sữa đá", "Bò khô", "Bơ", "Nguyễn Thị Hường"])
def test_text_has_one_normal_form(name: str) -> None:
    assert normal_text(unicodedata.normalize("NFD", name)) == normal_text(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("around", [*ZERO_WIDTH, *BLANKS, "\ufeff \u200b\u00a0"])
def test_what_nobody_sees_is_trimmed_from_text_and_codes(around: str) -> None:
    assert normal_text(f"{around}Áo thun{around}") == "Áo thun"
    assert code_text(f"{around}AT-01 x{around}") == "AT-01 x"
    assert normal_text(around) == code_text(around) == ""


@pytest.mark.parametrize("inside", [*ZERO_WIDTH, "\u034f", "\ufe0f", "\u3164", "\x1d"])
def test_no_invisible_character_stays_inside_a_code(inside: str) -> None:
    assert code_text(f"893{inside}850") == "893850"


def test_blanks_inside_a_code_are_plain_and_line_breaks_stay() -> None:
    assert code_text("AT\u00a001\u3000x") == "AT 01 x"
    assert code_text("0912345678\n0987654321") == "0912345678\n0987654321"


def test_visible_differences_stay() -> None:
    assert code_text("Ô-01") != code_text("O-01")
    assert code_text("\uff11\uff12") == "\uff11\uff12"  # full-width digits can be seen
    assert normal_text("👩\u200d🍳 bếp") == "👩\u200d🍳 bếp"  # the joiner inside a title makes one picture


@given(st.text())
def test_cleaning_twice_changes_nothing_more(raw: str) -> None:
    assert normal_text(normal_text(raw)) == normal_text(raw)
    assert code_text(code_text(raw)) == code_text(raw)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("1250", "1250"),
        ("-1250", "-1250"),
        ("+5", "5"),
        ("1699.5", "1699.5"),
        ("1699.00", "1699"),
        ("120000.000", "120000"),  # six digits before the point are no group
        ("1250.000", "1250"),
        ("0.125", "0.125"),  # no number with groups begins with a zero
        ("1.25", "1.25"),
        ("1.2500", "1.25"),
        ("\ufeff 99\u00a0", "99"),
        ("-0", "0"),
    ],
)
def test_plain_decimals_are_read(raw: str, number: str) -> None:
    assert str(decimal_of(raw)) == number


AMBIGUOUS = ["1.250", "12.500", "-1.250", "999.999", "01.250", "+1.000"]
NO_PLAIN_NUMBERS = [
    "1,250", "1,250,000", "1.250.000", "1.355,90", "1,355.90", "12,5", ",5", ".5", "5.", "1e3", "8.93E+12", "1 250",
    "1\u00a0250", "1_000", "$5", "5$", "1250đ", "1.250.000 ₫", "\uff11\uff12", "\u0661\u0662", "--5", "5-", "", "-",
    "NaN", "Infinity", "0x10", "1'250", "nhiều",
]  # fmt: skip


@pytest.mark.parametrize("raw", AMBIGUOUS + NO_PLAIN_NUMBERS)
def test_text_that_may_mean_another_number_is_refused_with_its_raw_text(raw: str) -> None:
    with pytest.raises(NotANumber) as caught:
        decimal_of(raw)
    assert repr(raw) in str(caught.value)
    assert ("ambiguous" in str(caught.value)) == (raw in AMBIGUOUS)


@pytest.mark.parametrize(
    ("value", "number"),
    [(1250, "1250"), (1.25, "1.25"), (1.125, "1.125"), (1e5, "100000"), (12.0, "12"), (-0.0, "0"), (0.1, "0.1")],
)
def test_json_numbers_mean_what_they_say(value: Any, number: str) -> None:
    assert str(decimal_of(value)) == number


@pytest.mark.parametrize(
    "value",
    [True, None, [], {}, float("nan"), float("inf"), 10**24, Decimal("1e400"), Decimal("NaN"), "9" * 25],
)
def test_what_no_shop_can_mean_is_refused(value: Any) -> None:
    with pytest.raises(NotANumber):
        decimal_of(value)


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=4, allow_nan=False))
def test_a_number_is_the_same_as_text_and_as_json(number: Decimal) -> None:
    text = f"{number:f}"
    read = msgspec.json.Decoder(float_hook=json_number).decode(text)
    assert decimal_of(text) == decimal_of(read) == number
    assert str(decimal_of(text)) == str(decimal_of(read))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_json_number_that_a_float_stands_for_is_a_float(number: float) -> None:
    assert type(json_number(repr(number))) is float
    assert json_number(repr(number)) == number


@pytest.mark.parametrize("text", ["0.10000000000000001", "12345678901234567.89", "129000.10000000001", "1e400"])
def test_a_json_number_loses_no_digit(text: str) -> None:
    read = json_number(text)
    assert isinstance(read, Decimal)
    assert read == Decimal(text)


def test_an_exponent_beyond_all_bounds_is_read_and_refused() -> None:
    with pytest.raises(NotANumber):
        decimal_of(json_number("1e99999999999999999999"))


@pytest.mark.parametrize(
    ("raw", "price"),
    [
        ("$14.95", "14.95"),
        ("$1,699.00", "1699"),
        ("$1,250", "1250"),
        ("$ 1,250,000.5", "1250000.5"),
        ("14.95 USD", "14.95"),
        ("US$14.95", "14.95"),
        ("$14.95 USD", "14.95"),
        ("1.250.000₫", "1250000"),
        ("1.250 đ", "1250"),
        ("1.250\u00a0Đ", "1250"),
        ("VND 1.250.000", "1250000"),
        ("₫120000", "120000"),
        ("120000 vnđ", "120000"),
        ("99.000 đồng", "99000"),
        (unicodedata.normalize("NFD", "99.000 đồng"), "99000"),
        ("120000", "120000"),
        (1.125, "1.125"),
        ("0", "0"),
    ],
)
def test_a_currency_mark_tells_how_digits_are_grouped(raw: Any, price: str) -> None:
    assert str(price_of(raw)) == price


@pytest.mark.parametrize(
    "raw",
    [
        "1.250", "1,250", "1,250,000", "1.355,90", "$1.250", "$1,25", "$12,50.00", "$1.250,00", "1,250,000₫", "1.25 đ",
        "1250.5đ", "12.50₫", "1.2500 đ", "$5đ", "€5", "5 EUR", "$", "đ", "$-5", "-5", "-$5", "1.250.00 đ", "$1e3",
        "1.250.000 đ/cái", -5, -0.01, float("nan"),
    ],
)  # fmt: skip
def test_a_price_that_may_be_another_one_is_refused_with_its_raw_text(raw: Any) -> None:
    with pytest.raises(NotANumber) as caught:
        price_of(raw)
    assert repr(str(raw)) in str(caught.value)


def test_a_whole_number_too_long_for_text_is_refused() -> None:
    with pytest.raises(NotANumber):
        decimal_of(-(10**5000))
