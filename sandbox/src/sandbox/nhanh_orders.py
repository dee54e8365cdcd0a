"""Nhanh's orders and retail bills: their records, and order/list, bill/retail, order/deleted, bill/deleted.

A search by time spans 31 days at most; without any time it is the last 31. The wording of the refusal of a longer one
is not documented, nor the order of the lists (here by id, newest first unless asked otherwise).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec

from sandbox.nhanh_errors import NhanhRefusal, Reply, invalid_field
from sandbox.nhanh_paging import (
    Condition,
    NhanhRequest,
    cursor_of,
    ids_of,
    listed_part,
    object_of,
    page_of,
    second_of,
    size_of,
)
from sandbox.nhanh_records import public
from sandbox.state import Doc, Record, find

MAX_DAYS = 31
_DAY = 86_400
_HERE = timezone(timedelta(hours=7))  # Vietnam, where the dates of bills are

Document = Literal["order", "bill"]


class Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One product of an order or a bill. price: without VAT; discount: of one piece, after VAT."""

    product_id: int
    quantity: float = 1
    price: float = 0
    vat_percent: float = 0
    discount: float = 0
    code: str | None = None
    name: str | None = None


class Buyer(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Who bought; on an order the receiver, too."""

    id: int | None = None
    name: str | None = None
    mobile: str | None = None


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order as staff would create it. Times in unix seconds; None = now."""

    id: int
    lines: list[Line]
    status: int = 54
    type: int = 1
    channel: int = 1
    depot_id: int = 120_001
    buyer: Buyer = Buyer()
    ship_fee: float = 0
    discount: float = 0
    created_at: int | None = None
    updated_at: int | None = None


class Bill(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One retail bill. order_id: of the order that it belongs to; type 1 is a return, 2 a sale; date: Y-m-d in Vietnam,
    None = the day of its creation."""

    id: int
    lines: list[Line]
    order_id: int | None = None
    type: int = 2
    depot_id: int = 120_001
    buyer: Buyer = Buyer()
    discount: float = 0
    date: str | None = None
    created_at: int | None = None


def order_record(order: Order, now: int) -> Record:
    """The row of order/list."""
    created = now if order.created_at is None else order.created_at
    updated = max(created, now) if order.updated_at is None else order.updated_at
    return order_of(
        {
            "info": {
                "id": order.id,
                "depotId": order.depot_id,
                "type": order.type,
                "status": order.status,
                "createdAt": created,
                "updatedAt": updated,
                "confirmedAt": None,
                "packedAt": None,
                "returnFromId": None,
                "saleId": None,
                "tags": [],
            },
            "channel": {"appOrderId": None, "saleChannel": order.channel, "shopId": None, "shopName": None},
            "shippingAddress": {
                "id": order.buyer.id,
                "name": order.buyer.name,
                "mobile": order.buyer.mobile,
                "email": None,
                "address": "12 Lê Lợi",
            },
            "products": [_ordered(line, order.id * 100 + place) for place, line in enumerate(order.lines, start=1)],
            "carrier": {"shipFee": 0, "codFee": 0, "customerShipFee": order.ship_fee, "ecomFee": 0, "deliveryAt": None},
            "payment": {
                "codAmount": 0,
                "deposit": 0,
                "transfer": 0,
                "credit": 0,
                "discount": order.discount,
                "vat": 0,
                "usedPoints": 0,
            },
        }
    )


def order_of(doc: Doc) -> Record:
    """The record of an order's document."""
    info = doc["info"]
    return Record(
        kind="order",
        id=info["id"],
        doc=doc,
        phone=doc["shippingAddress"]["mobile"],
        updated_at=info["updatedAt"],
        stock_updated_at=info["createdAt"],
    )


def bill_record(bill: Bill, now: int) -> Record:
    """The row of bill/retail."""
    created = now if bill.created_at is None else bill.created_at
    lines = [_billed(line) for line in bill.lines]
    amount = sum(line["amount"] for line in lines) - bill.discount
    return bill_of(
        {
            "id": bill.id,
            "orderId": bill.order_id,
            "depotId": bill.depot_id,
            "date": bill.date or datetime.fromtimestamp(created, _HERE).date().isoformat(),
            "type": bill.type,
            "customer": {"id": bill.buyer.id, "name": bill.buyer.name, "mobile": bill.buyer.mobile},
            "products": lines,
            "payment": {
                "amount": amount,
                "discount": bill.discount,
                "cash": amount,
                "transfer": 0,
                "credit": 0,
                "returnAmount": 0,
            },
            "createdAt": created,
        }
    )


def bill_of(doc: Doc) -> Record:
    """The record of a bill's document; `code` is its date."""
    return Record(
        kind="bill",
        id=doc["id"],
        doc=doc,
        code=doc["date"],
        parent=str(doc["orderId"]) if doc["orderId"] else None,
        phone=doc["customer"]["mobile"],
        updated_at=doc["createdAt"],
    )


def deletion(kind: str, number: int, now: int) -> Record:
    """What order/deleted or bill/deleted says of a deleted document."""
    doc: Doc = {"id": number, "createdAt": now, "createdById": 1}
    return Record(kind=f"{kind}_deleted", id=number, doc=doc, updated_at=now)


def orders(request: NhanhRequest) -> Reply:
    """order/list. A filter of ids, customer or mobile needs no time; without any filter it is the last 31 days."""
    filters = object_of(request.body, "filters")
    condition = listed_part(request, "order")
    address = object_of(filters, "shippingAddress")
    _by_ids(condition, filters)
    if filters.get("statuses"):
        wanted = ids_of(filters["statuses"], "filters.statuses")
        condition.add(f"json_extract(doc, '$.info.status') IN ({', '.join('?' * len(wanted))})", *wanted)
    if address.get("id"):
        condition.add("json_extract(doc, '$.shippingAddress.id') = ?", ids_of(address["id"], "filters.id")[0])
    if address.get("mobile"):
        condition.add("phone = ?", str(address["mobile"]))
    named = bool(filters.get("ids") or address)
    spans = [
        _span(request, condition, filters, "createdAt", "stock_updated_at"),
        _span(request, condition, filters, "updatedAt", "updated_at"),
    ]
    if not any(spans) and not named:
        condition.add("stock_updated_at >= ?", request.now - MAX_DAYS * _DAY)
    return _walk(request, "order", condition)


def retail_bills(request: NhanhRequest) -> Reply:
    """bill/retail, by the bills' dates. There is no filter by a time of change, because a bill has none."""
    filters = object_of(request.body, "filters")
    condition = listed_part(request, "bill")
    _by_ids(condition, filters)
    if filters.get("orderIds"):
        wanted = [str(number) for number in ids_of(filters["orderIds"], "filters.orderIds")]
        condition.add(f"parent IN ({', '.join('?' * len(wanted))})", *wanted)
    if filters.get("type"):
        condition.add("json_extract(doc, '$.type') = ?", ids_of(filters["type"], "filters.type")[0])
    today = datetime.fromtimestamp(request.now, UTC).astimezone(_HERE).date()
    last = _date(filters, "toDate") or today
    first = _date(filters, "fromDate") or last - timedelta(days=MAX_DAYS - 1)
    if (last - first).days + 1 > MAX_DAYS:
        raise _too_long("fromDate")
    condition.add("code BETWEEN ? AND ?", first.isoformat(), last.isoformat())
    return _walk(request, "bill", condition)


def deleted(kind: Document, request: NhanhRequest) -> Reply:
    """order/deleted and bill/deleted: ids and when each was deleted."""
    filters = object_of(request.body, "filters")
    condition = Condition()
    _by_ids(condition, filters)
    _span(request, condition, filters, "createdAt", "updated_at")
    return _walk(request, f"{kind}_deleted", condition)


def _ordered(line: Line, number: int) -> Doc:
    after_vat = line.price * (1 + line.vat_percent / 100)
    return {
        "productId": line.product_id,
        "orderProductId": number,
        "code": line.code,
        "name": line.name,
        "quantity": line.quantity,
        "price": line.price,
        "priceAfterVAT": after_vat,
        "discount": line.discount,
        "discountAmount": line.discount * line.quantity,
        "vatPercent": line.vat_percent,
        "totalAmount": (after_vat - line.discount) * line.quantity,
        "avgCost": None,
        "combos": [],
        "unit": None,
    }


def _billed(line: Line) -> Doc:
    after_vat = line.price * (1 + line.vat_percent / 100)
    return {
        "id": line.product_id,
        "code": line.code,
        "quantity": line.quantity,
        "price": line.price,
        "discount": line.discount,
        "vat": {"value": line.vat_percent, "amount": (after_vat - line.price) * line.quantity},
        "amount": (after_vat - line.discount) * line.quantity,
    }


def _by_ids(condition: Condition, filters: dict[str, Any]) -> None:
    if filters.get("ids"):
        numbers = ids_of(filters["ids"], "filters.ids")
        condition.add(f"id IN ({', '.join('?' * len(numbers))})", *numbers)


def _span(request: NhanhRequest, condition: Condition, filters: dict[str, Any], name: str, column: str) -> bool:
    """Restrict to `name`From and `name`To; whether either is given. No end: now; no begin: 31 days before."""
    given = {end: filters.get(f"{name}{end}") for end in ("From", "To")}
    if not any(given.values()):
        return False
    last = second_of(given["To"], f"filters.{name}To") if given["To"] else request.now
    first = second_of(given["From"], f"filters.{name}From") if given["From"] else last - MAX_DAYS * _DAY
    if last - first > MAX_DAYS * _DAY:
        raise _too_long(f"{name}From")
    condition.add(f"{column} BETWEEN ? AND ?", first, last)
    return True


def _date(filters: dict[str, Any], name: str) -> date | None:
    if not filters.get(name):
        return None
    try:
        return date.fromisoformat(str(filters[name]))
    except ValueError as error:
        raise invalid_field(f"filters.{name}", f"filters.{name} must be a date Y-m-d") from error


def _too_long(name: str) -> NhanhRefusal:
    return invalid_field(f"filters.{name}", f"filters.{name}: the time span is longer than {MAX_DAYS} days")


def _walk(request: NhanhRequest, kind: str, condition: Condition) -> Reply:
    paginator = object_of(request.body, "paginator")
    size, cursor = size_of(request, paginator), cursor_of(paginator, "id")
    direction = str(object_of(paginator, "sort").get("id", "desc")).lower()
    if direction not in {"asc", "desc"}:
        raise invalid_field("paginator.sort", "paginator.sort.id must be asc or desc")
    if cursor:
        condition.add(f"id {'>' if direction == 'asc' else '<'} ?", int(cursor["id"]))
    rows = find(
        request.state.connection(),
        request.shop.key,
        kind,
        condition.sql,
        tuple(condition.params),
        order=f"id {direction}",
        limit=size + 1,
    )
    page, following = page_of(request, rows, size, cursor, {"id": "id"})
    return Reply(data=[public(record.doc) for record in page], paged=True, next=following)


RECORDS: dict[str, Callable[[Doc], Record]] = {"order": order_of, "bill": bill_of}
"""How each document becomes a record."""
