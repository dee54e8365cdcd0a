"""Nhanh's JSON as it comes, with its nulls, spellings and string numbers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.errors import MalformedRecord
from platforms.nhanh import records as nhanh
from platforms.records import CustomerRecord, Product, ProductRecord, Stock, content_hash


def product(**changes: Any) -> dict[str, Any]:
    """An item of product/list."""
    quantities = {"remain": 12.0, "shipping": 0, "damaged": 0, "holding": 2.0, "transfering": 0.0, "available": 10.0}
    item: dict[str, Any] = {
        "id": 38200016,
        "parentId": -1,
        "code": " AO-01 ",
        "barcode": None,
        "name": "Áo thun Coolmate cổ tròn",
        "otherName": "",
        "status": 2,
        "priceVatMode": 2,
        "importPriceVatMode": 2,
        "categoryId": None,
        "prices": {"retail": 199000.0, "retailVat": "", "import": "120000", "wholesale": None, "old": 0},
        "images": {"avatar": None, "others": []},
        "brandId": 1001,
        "type": 1,
        "inventory": {
            **quantities,
            "warranty": {"remain": 0.0, "holding": 0.0},
            "depots": [{"id": 120001, **quantities, "available": 7.0}, {"id": "120002", "available": "3"}],
        },
        "attributes": [],
        "createdAt": 1733300000,
        "updatedAt": 1733387520,
    }
    return {**item, **changes}


def customer(**changes: Any) -> dict[str, Any]:
    """An item of customer/list."""
    item: dict[str, Any] = {
        "id": 4100003,
        "type": 1,
        "name": "Nguyễn Thị Thuỳ Đặng",
        "mobile": "0912.345.678 / 0987654321 (zalo)",
        "code": "KH4100003",
        "gender": None,
        "address": "12 Lê Lợi",
        "email": "",
        "birthday": None,
        "points": "30",
        "saleName": None,
        "startedDate": "2024-12-05",
        "taxCode": None,
        "locations": {"cityId": 2, "districtId": None, "wardId": None},
        "location": {"cityId": 79, "wardId": None},
        "business": {"name": None, "address": None},
        "level": {"id": 3, "name": "Vàng"},
        "group": [],
        "totalAmount": 1500000.0,
        "updatedAt": 1733387520,
    }
    return {**item, **changes}


def test_a_standalone_product_has_itself_as_its_variant() -> None:
    record = nhanh.product(product())
    assert record.product == Product(product_id="38200016", title="Áo thun Coolmate cổ tròn", status="selling")
    (variant,) = record.variants
    assert (variant.variant_id, variant.product_id) == ("38200016", "38200016")
    assert (variant.sku, variant.barcode, variant.vat_mode, variant.currency) == ("AO-01", None, 2, "VND")
    assert variant.price == Decimal(199000)
    assert variant.prices == {"retail": Decimal(199000), "import": Decimal(120000), "old": Decimal(0)}
    assert variant.places == (Stock("120001", Decimal(7)), Stock("120002", Decimal(3)))
    assert variant.stock == Decimal(10)


def test_a_parent_is_a_product_and_sells_nothing() -> None:
    record = nhanh.product(product(parentId=-2, code=None, prices=[], inventory=None))
    assert record.product is not None
    assert record.variants == ()


def test_a_child_is_a_variant_of_its_parent() -> None:
    attributes = [{"id": 1, "name": None, "value": "XL"}, {"id": 2, "name": "Màu", "value": " đỏ "}, {"value": None}]
    record = nhanh.product(product(parentId="38200000", attributes=attributes))
    assert record.product is None
    (variant,) = record.variants
    assert (variant.product_id, variant.variant_id) == ("38200000", "38200016")
    assert (variant.name, variant.options) == ("Áo thun Coolmate cổ tròn", "XL / đỏ")
    assert variant.status == "selling"


@pytest.mark.parametrize(
    ("inventory", "stock"),
    [
        (None, None),
        ([], None),
        ({"available": "4", "transfering": 1.0, "depots": []}, Decimal(4)),
        ({"available": None, "remain": 9, "depots": [{"id": 1, "available": 2}, {"id": 2, "available": None}]}, 2),
        ({"remain": 9.0}, None),
    ],
)
def test_only_what_is_available_can_be_sold(inventory: object, stock: object) -> None:
    (variant,) = nhanh.product(product(inventory=inventory)).variants
    assert variant.stock == stock


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": -1}, "id"),
        ({"name": "  "}, "name"),
        ({"parentId": -7}, "parentId"),
        ({"parentId": "x"}, "parentId"),
        ({"prices": {"retail": "liên hệ"}}, "prices.retail"),
        ({"prices": 5}, "prices"),
        ({"priceVatMode": 3}, "priceVatMode"),
        ({"inventory": {"depots": [{"id": 1}, {"available": 1}]}}, "inventory.depots[1].id"),
        ({"inventory": {"depots": [{"id": 1, "available": []}]}}, "inventory.depots[0].available"),
        ({"code": {"a": 1}}, "code"),
        ({"code": "a\0"}, "code"),
        ({"status": "đang bán"}, "status"),
    ],
)
def test_what_is_wrong_with_which_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        nhanh.product(product(**changes))
    assert caught.value.field == field


def test_a_customer() -> None:
    assert nhanh.customer(customer()) == CustomerRecord(
        record_id="4100003",
        name="Nguyễn Thị Thuỳ Đặng",
        phone="0912.345.678 / 0987654321 (zalo)",
        phones=("+84912345678", "+84987654321"),
        email=None,
        address="12 Lê Lợi",
        totals={
            "total_amount": Decimal(1500000),
            "currency": "VND",
            "points": 30,
            "level": "Vàng",
            "type": "retail",
            "code": "KH4100003",
            "started": "2024-12-05",
        },
        updated_at=datetime(2024, 12, 5, 8, 32, tzinfo=UTC),
    )


def test_a_customer_of_whom_only_the_id_is_known() -> None:
    record = nhanh.customer({"id": "7", "mobile": None, "level": None})
    assert (record.name, record.phone, record.phones, record.totals) == (None, None, (), {"currency": "VND"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "available", "name"]), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(product())), JSON)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    try:
        record = nhanh.product(product(**{field: value}))
    except MalformedRecord:
        return
    assert isinstance(record, ProductRecord)
    assert content_hash(record)


@given(st.sampled_from(sorted(customer())), JSON)
def test_any_value_in_any_field_of_a_customer_is_read_or_refused(field: str, value: object) -> None:
    try:
        assert content_hash(nhanh.customer(customer(**{field: value})))
    except MalformedRecord:
        return


def test_the_hash_sees_content_and_nothing_else() -> None:
    one, turned = product(), dict(reversed(product().items()))
    assert content_hash(nhanh.product(one)) == content_hash(nhanh.product(turned))
    same = product(prices={"import": 120000, "retail": "199000.00", "old": 0})
    assert content_hash(nhanh.product(one)) == content_hash(nhanh.product(same))
    other = product(prices={"import": 120000, "retail": "199000.01", "old": 0})
    assert content_hash(nhanh.product(one)) != content_hash(nhanh.product(other))
