"""Synthetic customers: every messy form leads back to its number."""

import re

import phonenumbers
import pytest

from sandbox.chance import rng
from sandbox.people import FORMS, OLD_PREFIX, e164, local_form, messy_phone, national_mobile, people, plain

CLEAN = frozenset({"local", "country", "plus", "double_zero", "plus_zero_in_brackets", "country_zero"}) | {
    "double_zero_zero",
    "dots",
    "dashes",
    "spaces",
    "brackets",
    "full_width",
    "apostrophe",
    "tel",
}


@pytest.mark.parametrize("form", sorted(set(FORMS)))
def test_every_form_holds_the_number(form: str) -> None:
    number = "0901234567"
    text = messy_phone(rng("test"), number, form)
    digits = re.sub(r"\D", "", text.translate(str.maketrans("O０１２３４５６７８９", "00123456789")))
    assert "901234567" in digits
    assert local_form(text) == number or form not in CLEAN
    if form in CLEAN:
        parsed = phonenumbers.parse(text.lstrip("'"), "VN")
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == e164(number)


def test_old_prefixes_are_eleven_digits_and_new_ones_valid() -> None:
    assert messy_phone(rng("test"), "0331234567", "old_prefix") == "01631234567"
    for new in OLD_PREFIX:
        assert phonenumbers.is_valid_number(phonenumbers.parse(new + "1234567", "VN")), new


def test_numbers_are_local_mobiles() -> None:
    chance = rng("numbers")
    assert all(re.fullmatch(r"0[35789]\d{8}", national_mobile(chance)) for _ in range(500))


def test_the_same_seed_gives_the_same_people_and_sides_overlap() -> None:
    assert people("nhanh", 300, 7) == people("nhanh", 300, 7)
    assert people("nhanh", 300, 7) != people("nhanh", 300, 8)
    nhanh, shopify = people("nhanh", 300, 7), people("shopify", 300, 7)
    shared = {p.truth for p in nhanh} & {p.truth for p in shopify}
    assert len(shared) == 255
    assert len({p.id for p in nhanh}) == 300
    assert any(p.phone is None for p in nhanh)
    assert any(p.email is None for p in nhanh)
    phones = [local_form(p.phone) for p in nhanh if p.phone]
    assert len(set(phones)) < len(phones)


def test_plain_takes_the_accents() -> None:
    assert plain("Đặng Thuỳ Dương") == "Dang Thuy Duong"
