"""Single fields: blank is None, wrong names its path, nothing else escapes."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms import json_fields as fields
from platforms.errors import MalformedRecord

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
READERS: list[Callable[[Any, str], Any]] = [
    fields.text,
    fields.required_text,
    fields.key_text,
    fields.identifier,
    fields.number,
    fields.price,
    fields.integer,
    fields.unix_time,
    fields.iso_time,
    fields.mapping,
    fields.sequence,
]


def _refusal(reader: Callable[[Any, str], Any], value: object) -> MalformedRecord | None:
    try:
        reader(value, "some.path")
    except MalformedRecord as error:
        return error
    return None


@given(JSON)
def test_every_reader_gives_a_value_or_names_the_path(value: object) -> None:
    for reader in READERS:
        refusal = _refusal(reader, value)
        if refusal is not None:
            assert refusal.field == "some.path"
            assert refusal.reason.encode()


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2, allow_nan=False))
def test_a_number_is_the_same_as_text_and_as_number(value: Decimal) -> None:
    read = fields.number(str(value), "x")
    assert read == value
    assert str(read) == str(fields.number(f" {value}00 ", "x"))


def test_numbers() -> None:
    assert fields.number(None, "x") is None
    assert fields.number("  ", "x") is None
    assert str(fields.number(120000.0, "x")) == "120000"
    assert str(fields.number("120000.50", "x")) == "120000.5"
    assert str(fields.number(1e3, "x")) == "1000"
    for wrong in (
        "12,5",
        "1.250",
        "1.355,90",
        "1,250,000",
        "1e3",
        "nhiều",
        float("nan"),
        float("inf"),
        "1e999999",
        1e29,
        "9" * 27,
        True,
        [1],
        {"a": 1},
    ):
        with pytest.raises(MalformedRecord, match=r"^price: "):
            fields.number(wrong, "price")


def test_text_is_never_empty_and_always_storable() -> None:
    assert fields.text(" Áo thun\n", "x") == "Áo thun"
    assert fields.text("", "x") is fields.text(" \t", "x") is fields.text(None, "x") is None
    assert fields.text(8935, "x") == "8935"
    for wrong in ("a\0b", "\ud800", True, [], {}):
        with pytest.raises(MalformedRecord):
            fields.text(wrong, "x")


def test_a_refused_number_is_reported_with_its_raw_text() -> None:
    with pytest.raises(MalformedRecord, match=r"^prices\.retail: '1\.250' is ambiguous"):
        fields.price("1.250", "prices.retail")
    with pytest.raises(MalformedRecord, match=r"^price: '1\.355,90' is no number"):
        fields.number("1.355,90", "price")


def test_a_price_is_never_below_zero_and_a_quantity_may_be() -> None:
    assert fields.price("0.00", "x") == 0
    assert fields.price(None, "x") is None
    assert fields.number(-3, "x") == -3
    for wrong in (-1, "-0.01", -0.5):
        with pytest.raises(MalformedRecord, match="below zero"):
            fields.price(wrong, "x")


def test_numbers_of_the_decoder_are_read_exactly() -> None:
    assert fields.number(Decimal("129000.10000000001"), "x") == Decimal("129000.10000000001")
    assert fields.text(Decimal("1.10"), "x") == "1.10"
    for reader in (fields.text, fields.key_text):
        with pytest.raises(MalformedRecord):
            reader(10**5000, "x")


def test_text_and_codes_come_in_one_form() -> None:
    decomposed = unicodedata.normalize("NFD", "Cà phê sữa đá")
    assert fields.text(decomposed, "x") == fields.required_text(decomposed, "x") == "Cà phê sữa đá"
    assert fields.key_text(unicodedata.normalize("NFD", "ÁO-01"), "x") == "ÁO-01"
    assert fields.key_text("\ufeff893\u200b850\u00a0", "x") == "893850"
    assert fields.key_text("\u200b", "x") is fields.text("\ufeff\u00a0", "x") is None
    assert fields.identifier("\ufeff38200000", "x") == "38200000"
    with pytest.raises(MalformedRecord):
        fields.required_text("\u200b", "title")


def test_what_is_looked_up_by_fits_an_index() -> None:
    assert fields.key_text("9" * 255, "x") == "9" * 255
    with pytest.raises(MalformedRecord, match=r"^sku: is longer than 255 characters$"):
        fields.key_text("9" * 256, "sku")


def test_ids() -> None:
    assert fields.identifier(38200000, "id") == fields.identifier("38200000", "id") == "38200000"
    assert fields.identifier("gid://shopify/Product/1", "id") == "gid://shopify/Product/1"
    assert fields.identifier(0, "id") == "0"
    for wrong in (None, "", -1, "-2", 1.5, "x" * 129, {}):
        with pytest.raises(MalformedRecord):
            fields.identifier(wrong, "id")


def test_php_writes_empty_objects_and_lists_the_wrong_way() -> None:
    assert fields.mapping([], "x") == fields.mapping(None, "x") == {}
    assert fields.sequence({}, "x") == fields.sequence(None, "x") == []
    with pytest.raises(MalformedRecord, match="expected an object, got a list"):
        fields.mapping([1], "x")


def test_times() -> None:
    assert fields.unix_time("1733387520", "x") == datetime(2024, 12, 5, 8, 32, tzinfo=UTC)
    assert fields.unix_time(0, "x") is None
    assert fields.iso_time("2026-11-01T07:00:00+07:00", "x") == datetime(2026, 11, 1, tzinfo=UTC)
    for wrong in ("yesterday", "2026-11-01T07:00:00"):
        with pytest.raises(MalformedRecord):
            fields.iso_time(wrong, "x")
