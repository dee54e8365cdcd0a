"""What a shop's customer should hold."""

import pytest

from platforms.shopify.writers import METAFIELD_TYPES
from syncer.domain import customers
from syncer.domain.customers import Contacts
from syncer.domain.fields import key_of
from syncer.domain.plan import Change


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
    ("phones", "held", "expected"),
    [
        (["+84912345678", "+84987654321"], "+84987654321", "+84987654321"),
        (["+84912345678", "+84987654321"], "0987 654 321", "+84987654321"),
        (["+84912345678", "+84987654321"], "+84987654320", "+84912345678"),
        (["+84912345678", "+84987654321"], None, "+84912345678"),
        (["+841621234567"], "+84321234567", "+84321234567"),
        (["+84321234567"], "+841621234567", "+84321234567"),
        (["+84912345678", "+841621234567"], "+84321234567", "+84321234567"),
        (["+84900000000", "+84912345678"], "+84900000000", None),
        (["0912345678"], "+84912345678", "+84912345678"),
        ([], "+84912345678", None),
        (["khong co"], "khong co", None),
        (["+14155552671"], "+1 415 555 2671", "+14155552671"),
    ],
)
def test_a_phone_of_the_shop_that_is_any_of_nhanhs_stays(
    phones: list[str], held: str | None, expected: str | None
) -> None:
    found = customers.phone(phones, held)
    assert found == expected
    if held is not None and found is not None and expected != phones[0]:
        assert key_of("phone", found) == key_of("phone", held)


def test_a_number_that_others_have_is_passed_over() -> None:
    assert customers.phone(["+84912345678", "+84987654321"], None, {"+84912345678"}) == "+84987654321"
    assert customers.phone(["+841621234567", "+84987654321"], None, {"+84321234567"}) == "+84987654321"
    assert customers.phone(["+84912345678", "+84987654321"], "+84912345678", {"+84912345678"}) is None
    assert customers.phone(["+84912345678"], None, {"+84912345678"}) is None


NOBODY = Contacts()


def test_empty_fields_blank_nothing() -> None:
    held = Contacts("Lê Hoa", ["+84912345678"], "hoa@example.com")
    assert customers.contact_fields(Contacts(None, [], " "), held, with_email=True) == {}
    assert customers.contact_fields(Contacts("", [], None), NOBODY, with_email=True) == {}
    wanted = customers.contact_fields(Contacts("  Lê   Hoa ", [], "no address"), NOBODY, with_email=True)
    assert wanted == {"name": "Lê Hoa"}


def test_shared_contacts_are_left_out() -> None:
    hub = Contacts("Lê Hoa", ["+84912345678"], "HOA@example.com")
    assert customers.contact_fields(hub, NOBODY, {"hoa@example.com"}, with_email=True) == {
        "name": "Lê Hoa",
        "phone": "+84912345678",
    }
    assert customers.contact_fields(hub, NOBODY, {"+84912345678"}, with_email=True) == {
        "name": "Lê Hoa",
        "email": "hoa@example.com",
    }


@pytest.mark.parametrize("held", [None, "", "mai@example.com", "hoa@EXAMPLE.com"])
def test_the_login_email_is_written_only_where_it_is_asked_for(held: str | None) -> None:
    hub, shop = Contacts("Lê Hoa", [], " HOA@Example.com "), Contacts("Lê Hoa", [], held)
    assert customers.contact_fields(hub, shop) == {"name": "Lê Hoa"}
    assert customers.contact_fields(hub, shop, with_email=True) == {"name": "Lê Hoa", "email": "hoa@example.com"}


def test_an_address_that_stands_for_nobody_is_not_written() -> None:
    hub = Contacts("Lê Hoa", [], "khachle@gmail.com")
    assert customers.contact_fields(hub, NOBODY, with_email=True) == {"name": "Lê Hoa"}


@pytest.mark.parametrize("name", ["Khách lẻ", "khach le 12", "0912345678", "A", "N/A", "lan@example.com", "Guest"])
@pytest.mark.parametrize("held", ["Nguyễn Văn A", None, "Khách"])
def test_a_placeholder_name_is_never_written(name: str, held: str | None) -> None:
    wanted = customers.contact_fields(Contacts(name, ["+84912345678"]), Contacts(held))
    assert wanted == {"phone": "+84912345678"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": ("Nguyễn Văn An", "Trần Thị Bình"), "email": ("an@x.vn", "binh@x.vn")}, "name and e-mail differ"),
        ({"name": ("Nguyễn Văn An", "Trần Thị Bình")}, "name differs"),
        ({"name": ("Khách lẻ", "Trần Thị Bình")}, None),
        ({"name": (None, "Trần Thị Bình"), "phone": ("", "+84912345678"), "email": (None, "a@x.vn")}, None),
        ({"name": ("nguyen van an", "Nguyễn Văn An")}, None),
        ({"phone": ("+84912345678", "+84987654321")}, "phone differs"),
        ({"phone": ("+841621234567", "+84321234567")}, None),
        ({"email": ("AN@x.vn", "an@x.vn")}, None),
        (
            {"phone": ("+84912345678", "+84987654321"), "email": ("an@x.vn", "b@x.vn"), "name": ("Lan", "Hoa")},
            "name, phone and e-mail differ",
        ),
        ({"nhanh.points": ("1", "2"), "price": ("1", "2")}, None),
        ({}, None),
    ],
)
def test_a_change_of_person_can_be_seen(changes: dict[str, tuple[str | None, str]], expected: str | None) -> None:
    found = [Change(field, before, after) for field, (before, after) in changes.items()]
    assert customers.person_note(found) == expected
    assert customers.person_note(iter(found)) == expected


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
    assert {name.partition(".")[2] for name in customers.metafields("41", totals)} == set(METAFIELD_TYPES)
