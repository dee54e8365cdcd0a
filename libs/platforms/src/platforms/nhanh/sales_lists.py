"""Nhanh's lists of orders, retail bills and deletions."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from platforms.adapter import Client
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.nhanh.client import NhanhClient
from platforms.nhanh.sales_records import SHOP_ZONE
from platforms.results import Json, Page, Wait
from platforms.sales import SalesList


class NhanhSales:
    """Reads the sales of one shop. Bills are asked for by their dates, because they have no time of change."""

    def __init__(self, connection: Connection, wait: Wait, buckets: Buckets) -> None:
        self._client = NhanhClient(connection, wait=wait, buckets=buckets)

    @property
    def client(self) -> Client:
        return self._client

    def clock(self) -> datetime | None:
        return self._client.clock

    def page(self, what: SalesList, since: datetime, until: datetime, next: Any | None) -> Page:
        action, filters = _LISTS[what]
        return self._client.sales(action, next, filters=filters(since, until))


def _changed(since: datetime, until: datetime) -> Json:
    return {"updatedAtFrom": int(since.timestamp()), "updatedAtTo": int(until.timestamp())}


def _deleted(since: datetime, until: datetime) -> Json:
    return {"createdAtFrom": int(since.timestamp()), "createdAtTo": int(until.timestamp())}


def _dated(since: datetime, until: datetime) -> Json:
    return {
        "fromDate": since.astimezone(SHOP_ZONE).date().isoformat(),
        "toDate": until.astimezone(SHOP_ZONE).date().isoformat(),
    }


_LISTS: Final[dict[SalesList, tuple[str, Callable[[datetime, datetime], Json]]]] = {
    "orders": ("order/list", _changed),
    "bills": ("bill/retail", _dated),
    "deleted_orders": ("order/deleted", _deleted),
    "deleted_bills": ("bill/deleted", _deleted),
}
