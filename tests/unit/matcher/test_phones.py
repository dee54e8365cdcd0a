"""Every form of Vietnamese phone that is known to be typed, and what it must become."""

import pytest

from matcher.domain.phones import RENUMBERED, is_filler, read_phones

AN = "+84912345678"


@pytest.mark.parametrize(
    "text",
    [
        "0912345678",
        "912345678",
        "84912345678",
        "+84912345678",
        "0084912345678",
        "+84 (0) 912345678",
        "+840912345678",
        "840912345678",
        "00840912345678",
        "+0084912345678",
        "0912.345.678",
        "0912-345-678",
        "0912 345 678",
        "(0912) 345 678",
        "０９１２３４５６７８",
        "'0912345678",
        "O912345678",
        "tel:0912345678",
        "SĐT: 0912345678",
        "0912345678 (zalo)",
        "0912345678 - zalo",
        "0912345678 gọi sau 17h",
        "912345678.0",
        "9.12345678E8",
    ],
)
def test_one_number_in_all_its_forms(text):
    assert [phone.e164 for phone in read_phones(text)] == [AN]


@pytest.mark.parametrize(
    "text",
    [
        "0912345678/0987654321",
        "0912345678, 0987654321",
        "0912345678 - 0987654321",
        "0912345678; 0987654321",
        "0912345678 hoặc 0987654321",
        "0912345678 (zalo)/ 0987654321 (Viber)",
    ],
)
def test_alternates_are_all_kept(text):
    assert [phone.e164 for phone in read_phones(text)] == [AN, "+84987654321"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "không có",
        "19001234",
        "18001091",
        "9.1E8",  # the digits are lost
        "0891234567",  # no valid prefix in this metadata
        "0521234567",
        "0551234567",
        "0123456789",  # ten digits: no old mobile
        "12345",
        "0" * 40,
        "+",
    ],
)
def test_what_cannot_identify_a_person_gives_nothing(text):
    assert read_phones(text) == ()


def test_old_mobiles_are_converted_in_every_form():
    assert len(RENUMBERED) == 21
    for old, new in RENUMBERED.items():
        for text in (f"0{old}1234568", f"+84{old}1234568", f"84{old}1234568", f"{old}1234568"):
            assert [phone.e164 for phone in read_phones(text)] == [f"+84{new}1234568"], text


def test_083_may_be_an_old_landline_unless_written_internationally():
    assert [(phone.e164, phone.ambiguous) for phone in read_phones("0838251234")] == [("+84838251234", True)]
    assert [(phone.e164, phone.ambiguous) for phone in read_phones("+84838251234")] == [("+84838251234", False)]
    assert [(phone.e164, phone.ambiguous) for phone in read_phones("01238251234")] == [("+84838251234", False)]


def test_old_hanoi_landlines_get_their_new_area_code():
    assert [phone.e164 for phone in read_phones("0438251234")] == ["+842438251234"]


def test_084_is_a_mobile_prefix_and_no_country_code():
    assert [phone.e164 for phone in read_phones("845123456")] == ["+84845123456"]


def test_numbers_of_other_countries_stay_theirs():
    assert [phone.e164 for phone in read_phones("+6591234567")] == ["+6591234567"]


@pytest.mark.parametrize(
    ("e164", "filler"),
    [
        ("+84999999999", True),
        ("+84900000000", True),
        ("+84987654321", True),
        ("+84912345678", False),
        ("+84901112222", False),
    ],
)
def test_fillers(e164, filler):
    assert is_filler(e164) is filler
