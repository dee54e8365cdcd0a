"""Nhanh's orders and bills as sales records: hostile items included."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from platforms.errors import MalformedRecord
from platforms.nhanh.sales_records import bill, deletion, order

LINE = {
    "productId": 11,
    "orderProductId": 101,
    "code": "Á-1",
    "name": "Áo",
    "quantity": 2,
    "price": 100000.0,
    "priceAfterVAT": 108000.0,
    "discount": 1000.0,
    "discountAmount": 2000.0,
    "vatPercent": 8,
    "totalAmount": 214000.0,
}
ORDER: dict[str, Any] = {
    "info": {"id": 5, "depotId": 120001, "type": 1, "status": 59, "createdAt": 1780000000, "updatedAt": 1780000060},
    "channel": {"saleChannel": 42},
    "shippingAddress": {"id": 7, "name": "Nguyễn Văn An", "mobile": "0912345678", "email": "an@shop.vn"},
    "products": [LINE, {**LINE, "totalAmount": "0.1"}],
    "carrier": {"customerShipFee": 30000},
    "payment": {"discount": 500},
}
BILL: dict[str, Any] = {
    "id": "51",
    "orderId": 5,
    "depotId": 120001,
    "date": "2026-05-28",
    "type": 2,
    "customer": {"id": 0, "name": "Khách lẻ", "mobile": "0987654321"},
    "products": [{"id": 11, "quantity": 1, "price": 5, "vat": {"value": 8, "amount": 0.4}, "amount": 5.4}],
    "payment": {"amount": 5.4, "discount": 0},
    "createdAt": 1780000000,
}


def test_an_order_is_read_without_its_buyer() -> None:
    read = order(ORDER)
    assert (read.document_id, read.status_word, read.channel_word, read.type_word) == (
        "5",
        "shipping",
        "shopee",
        "delivery",
    )
    assert (read.customer_id, read.depot_id, read.order_id) == ("7", "120001", None)
    assert read.total == Decimal("214000.1")
    assert (read.ship_fee, read.discount) == (30000, 500)
    assert read.updated_at == datetime.fromtimestamp(1780000060, UTC)
    text = msgspec.json.encode(read).decode()
    assert not [part for part in ("Nguyễn", "0912345678", "an@shop.vn") if part in text]


def test_a_bill_names_its_order_and_nobody() -> None:
    read = bill(BILL)
    assert (read.kind, read.document_id, read.order_id, read.customer_id) == ("bill", "51", "5", None)
    assert (read.dated, read.type_word, read.total) == (date(2026, 5, 28), "sale", Decimal("5.4"))
    assert read.lines[0].vat_percent == 8
    assert "Khách" not in msgspec.json.encode(read).decode()
    for nothing in (None, 0, "", "0"):
        assert bill({**BILL, "orderId": nothing}).order_id is None


def test_unknown_numbers_are_kept_without_a_word() -> None:
    read = order({**ORDER, "info": {**ORDER["info"], "status": 99, "type": 8}, "channel": {"saleChannel": 77}})
    assert (read.status, read.status_word, read.type, read.type_word) == (99, None, 8, None)
    assert (read.channel, read.channel_word) == (77, None)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({**ORDER, "info": {}}, "info.id"),
        ({**ORDER, "products": [{**LINE, "totalAmount": None}]}, "products[0].totalAmount"),
        ({**ORDER, "products": [LINE, {**LINE, "quantity": "1.250"}]}, "products[1].quantity"),
        ({**ORDER, "products": "none"}, "products"),
    ],
)
def test_an_order_that_cannot_be_read_names_the_field(item: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedRecord) as error:
        order(item)
    assert error.value.field == field


def test_deletions_and_bad_dates() -> None:
    assert deletion({"id": 5, "createdAt": 1780000000}).deleted_at == datetime.fromtimestamp(1780000000, UTC)
    with pytest.raises(MalformedRecord, match="createdAt: is missing"):
        deletion({"id": 5})
    with pytest.raises(MalformedRecord, match="date: '28/05/2026' is no date"):
        bill({**BILL, "date": "28/05/2026"})
    assert bill({**BILL, "date": None}).dated is None
