"""Nhanh v3 orders and bills to sales records. Facts: Nhanh's Open API v3, order/list, bill/retail, order/deleted.

An order has no total of its own: it is the sum of its lines' `totalAmount`, which includes VAT and discount.
"""

from collections.abc import Mapping
from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from platforms.errors import MalformedRecord
from platforms.json_fields import identifier, integer, key_text, mapping, number, sequence, text, unix_time
from platforms.nhanh.records import CURRENCY
from platforms.sales import Deletion, SalesDocument, SalesLine

LONGEST_SPAN: Final = timedelta(days=30)
"""Of one list: 31 days are allowed, and of two dates both count."""
SHOP_ZONE: Final = timezone(timedelta(hours=7))
"""Vietnam, where the dates of bills are. Nhanh does not document it."""

_STATUS: Final = {
    40: "packed",
    42: "packing",
    43: "awaiting_pickup",
    54: "new",
    55: "confirming",
    56: "confirmed",
    57: "waiting_for_customer",
    58: "cancelled_by_carrier",
    59: "shipping",
    60: "success",
    61: "failed",
    63: "cancelled_by_customer",
    64: "cancelled_by_system",
    68: "out_of_stock",
    71: "returning",
    72: "returned",
}
_ORDER_TYPE: Final = {1: "delivery", 2: "counter", 3: "pre_order", 14: "return"}
_BILL_TYPE: Final = {1: "return", 2: "sale"}
_CHANNEL: Final = {1: "admin", 2: "web", 10: "api", 20: "facebook", 41: "lazada", 42: "shopee", 48: "tiktok"}


def order(item: Mapping[str, Any]) -> SalesDocument:
    """One item of order/list.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    info, channel = mapping(item.get("info"), "info"), mapping(item.get("channel"), "channel")
    status, kind = integer(info.get("status"), "info.status"), integer(info.get("type"), "info.type")
    sold_by = integer(channel.get("saleChannel"), "channel.saleChannel")
    return SalesDocument(
        kind="order",
        document_id=identifier(info.get("id"), "info.id"),
        depot_id=_id(info.get("depotId"), "info.depotId"),
        customer_id=_id(mapping(item.get("shippingAddress"), "shippingAddress").get("id"), "shippingAddress.id"),
        type=kind,
        type_word=_ORDER_TYPE.get(kind or 0),
        status=status,
        status_word=_STATUS.get(status or 0),
        channel=sold_by,
        channel_word=_CHANNEL.get(sold_by or 0),
        currency=CURRENCY,
        discount=number(mapping(item.get("payment"), "payment").get("discount"), "payment.discount"),
        ship_fee=number(mapping(item.get("carrier"), "carrier").get("customerShipFee"), "carrier.customerShipFee"),
        created_at=unix_time(info.get("createdAt"), "info.createdAt"),
        updated_at=unix_time(info.get("updatedAt"), "info.updatedAt"),
        lines=_lines(item, "productId", "totalAmount"),
    )


def bill(item: Mapping[str, Any]) -> SalesDocument:
    """One item of bill/retail.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    kind = integer(item.get("type"), "type")
    return SalesDocument(
        kind="bill",
        document_id=identifier(item.get("id"), "id"),
        order_id=_id(item.get("orderId"), "orderId"),
        depot_id=_id(item.get("depotId"), "depotId"),
        customer_id=_id(mapping(item.get("customer"), "customer").get("id"), "customer.id"),
        type=kind,
        type_word=_BILL_TYPE.get(kind or 0),
        currency=CURRENCY,
        discount=number(mapping(item.get("payment"), "payment").get("discount"), "payment.discount"),
        dated=_date(item.get("date")),
        created_at=unix_time(item.get("createdAt"), "createdAt"),
        lines=_lines(item, "id", "amount"),
    )


def deletion(item: Mapping[str, Any]) -> Deletion:
    """One item of order/deleted or bill/deleted.

    Raises:
        MalformedRecord: a field that cannot be read, by its path.
    """
    deleted_at = unix_time(item.get("createdAt"), "createdAt")
    if deleted_at is None:
        raise MalformedRecord("createdAt", "is missing")
    return Deletion(document_id=identifier(item.get("id"), "id"), deleted_at=deleted_at)


def _id(value: Any, path: str) -> str | None:
    """An id, None where there is none: null, blank or 0."""
    return None if value in {None, "", 0, "0"} else identifier(value, path)


def _date(value: Any) -> date | None:
    found = text(value, "date")
    if found is None:
        return None
    try:
        return date.fromisoformat(found[:10])
    except ValueError:
        raise MalformedRecord("date", f"{found[:40]!r} is no date") from None


def _lines(item: Mapping[str, Any], product: str, total: str) -> tuple[SalesLine, ...]:
    lines: list[SalesLine] = []
    for place, listed in enumerate(sequence(item.get("products"), "products")):
        path = f"products[{place}]"
        line = mapping(listed, path)
        amount = number(line.get(total), f"{path}.{total}")
        if amount is None:
            raise MalformedRecord(f"{path}.{total}", "is missing")
        lines.append(
            SalesLine(
                product_id=_id(line.get(product), f"{path}.{product}"),
                code=key_text(line.get("code"), f"{path}.code"),
                name=text(line.get("name"), f"{path}.name"),
                quantity=number(line.get("quantity"), f"{path}.quantity"),
                price=number(line.get("price"), f"{path}.price"),
                discount=number(line.get("discount"), f"{path}.discount"),
                vat_percent=_vat(line, path),
                total=amount,
            )
        )
    return tuple(lines)


def _vat(line: Mapping[str, Any], path: str) -> Decimal | None:
    """The percentage, which an order's line has as `vatPercent` and a bill's in `vat`."""
    if "vat" in line:
        return number(mapping(line.get("vat"), f"{path}.vat").get("value"), f"{path}.vat.value")
    return number(line.get("vatPercent"), f"{path}.vatPercent")
