"""Nhanh's orders and retail bills: documented shapes, the 31 days, deletions, edits."""

import time
from typing import Any

import pytest

DAY = 86_400
LINE = {"product_id": 11, "quantity": 2, "price": 100_000, "vat_percent": 10, "discount": 1000, "code": "A"}


def put(account: Any, kind: str, number: int, **more: Any) -> Any:
    body = {"id": number, "lines": [LINE], "buyer": {"id": 7, "name": "An", "mobile": "0912345678"}, **more}
    return account.server.control("PUT", f"records/{account.name}/nhanh/{kind}", body)


def ids(account: Any, action: str, **filters: Any) -> list[int]:
    answer = account.nhanh(action, {"filters": filters})
    assert answer["code"] == 1, answer
    return [item["info"]["id"] if action == "order/list" else item["id"] for item in answer["data"]]


def test_orders_have_the_documented_shape_and_no_total(account: Any) -> None:
    put(account, "order", 1, status=59, channel=42, ship_fee=30_000)
    (order,) = account.nhanh("order/list")["data"]
    assert set(order) == {"info", "channel", "shippingAddress", "products", "carrier", "payment"}
    assert (order["info"]["status"], order["channel"]["saleChannel"], order["shippingAddress"]["id"]) == (59, 42, 7)
    (product,) = order["products"]
    assert (product["productId"], product["vatPercent"]) == (11, 10)
    assert product["priceAfterVAT"] == pytest.approx(110_000)
    assert product["totalAmount"] == pytest.approx(2 * 109_000)
    assert order["carrier"]["customerShipFee"] == 30_000


def test_a_span_has_31_days_at_most_and_none_means_the_last_31(account: Any) -> None:
    now = int(time.time())
    put(account, "order", 1, created_at=now - 40 * DAY, updated_at=now - 5 * DAY)
    put(account, "order", 2, created_at=now - DAY, updated_at=now - DAY)
    assert ids(account, "order/list") == [2]
    assert ids(account, "order/list", updatedAtFrom=now - 10 * DAY) == [2, 1]
    assert ids(account, "order/list", updatedAtFrom=now - 10 * DAY, updatedAtTo=now - 5 * DAY) == [1]
    assert ids(account, "order/list", ids=[1]) == [1]
    assert ids(account, "order/list", shippingAddress={"id": 7}) == [2, 1]
    too_long = {
        "order/list": {"updatedAtFrom": now - 32 * DAY, "updatedAtTo": now},
        "bill/retail": {"fromDate": "2026-01-01", "toDate": "2026-02-01"},
    }
    for action, filters in too_long.items():
        answer = account.nhanh(action, {"filters": filters})
        assert (answer["code"], answer["errorCode"]) == (0, "ERR_INVALID_FORM_FIELDS")
    assert ids(account, "bill/retail", fromDate="2026-01-01", toDate="2026-01-31") == []


def test_bills_go_by_their_dates(account: Any) -> None:
    put(account, "bill", 51, order_id=1, date="2026-03-01")
    put(account, "bill", 52, date="2026-03-05", type=1)
    assert ids(account, "bill/retail", fromDate="2026-03-01", toDate="2026-03-04") == [51]
    assert ids(account, "bill/retail", fromDate="2026-03-01", toDate="2026-03-31", type=1) == [52]
    (bill,) = account.nhanh(
        "bill/retail", {"filters": {"ids": [51], "fromDate": "2026-03-01", "toDate": "2026-03-01"}}
    )["data"]
    assert (bill["orderId"], bill["products"][0]["id"], "updatedAt" in bill) == (1, 11, False)
    assert bill["products"][0]["amount"] == bill["payment"]["amount"] == pytest.approx(2 * 109_000)


def test_edits_move_an_orders_time_and_deletions_are_listed(account: Any) -> None:
    now = int(time.time())
    put(account, "order", 1, created_at=now - 2 * DAY, updated_at=now - 2 * DAY)
    put(account, "bill", 51)
    edit = {"id": 1, "set": {"info": {"status": 60}}}
    edited = account.server.control("POST", f"records/{account.name}/nhanh/order", edit)
    assert edited["info"]["status"] == 60
    assert edited["info"]["updatedAt"] >= now
    for kind, number in (("order", 1), ("bill", 51)):
        account.server.control("DELETE", f"records/{account.name}/nhanh/{kind}/{number}")
        (deletion,) = account.nhanh(f"{kind}/deleted", {"filters": {"createdAtFrom": now}})["data"]
        assert (deletion["id"], set(deletion)) == (number, {"id", "createdAt", "createdById"})
        assert ids(account, f"{kind}/deleted", createdAtTo=now - 1) == []
    assert ids(account, "order/list", ids=[1]) == []


def test_pages_follow_their_cursor(account: Any) -> None:
    for number in range(1, 8):
        put(account, "order", number)
    account.switch("nhanh", page_limit=3, short_pages=False)
    found: list[int] = []
    following: Any = None
    while True:
        paginator = {"size": 100, "sort": {"id": "asc"}, **({"next": following} if following else {})}
        answer = account.nhanh("order/list", {"paginator": paginator})
        assert len(answer["data"]) <= 3
        found += [item["info"]["id"] for item in answer["data"]]
        following = answer["paginator"]["next"]
        if following is None:
            break
    assert found == [1, 2, 3, 4, 5, 6, 7]


def test_shopify_keeps_no_orders(account: Any) -> None:
    answer = account.server.http.put(f"/_sandbox/records/{account.name}/shopify/order", json={"id": 1, "lines": []})
    assert answer.status_code == 404
