"""What a shop's customer should hold."""

import pytest

from syncer.domain import customers


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        (["+84912345678"], "+84912345678"),
        (["+842838251234"], "+842838251234"),
        (["0912345678", "+84912345678"], "+84912345678"),
        (["+841621234567"], None),  # the numbering before 2018
        (["+84900000000"], None),  # a filler
        (["+14155552671"], "+14155552671"),
        (["12345"], None),
        ([], None),
    ],
)
def test_only_numbers_that_a_shop_would_take(phones: list[str], expected: str | None) -> None:
    assert customers.phone(phones) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Nguyễn Thị Mai", ("Thị Mai", "Nguyễn")), ("Lan", ("Lan", "")), ("Trần Bình", ("Bình", "Trần"))],
)
def test_the_family_name_stands_first(name: str, expected: tuple[str, str]) -> None:
    assert customers.split_name(name) == expected


def test_empty_fields_blank_nothing() -> None:
    assert customers.contact_fields(None, [], " ", ()) == {}
    assert customers.contact_fields("  Lê   Hoa ", [], "no address", ()) == {"name": "Lê Hoa"}


def test_shared_contacts_are_left_out() -> None:
    wanted = customers.contact_fields("Lê Hoa", ["+84912345678"], "HOA@example.com", {"hoa@example.com"})
    assert wanted == {"name": "Lê Hoa", "phone": "+84912345678"}


def test_totals_become_metafields_of_their_types() -> None:
    totals = {"total_amount": 1500000.0, "points": 12.0, "level": {"id": 3, "name": "Vàng"}, "other": 1}
    assert customers.metafields("41", totals) == {
        "nhanh.customer_id": "41",
        "nhanh.total_amount": "1500000",
        "nhanh.points": "12",
        "nhanh.level": "Vàng",
    }
    odd = {"total_amount": "much", "points": None, "level": ""}
    assert customers.metafields("41", odd) == {"nhanh.customer_id": "41"}
    assert {name.partition(".")[2] for name in customers.metafields("41", totals)} == set(customers.METAFIELD_TYPES)
