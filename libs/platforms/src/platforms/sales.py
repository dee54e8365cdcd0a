"""Sales: orders, retail bills and their lines, in the words that all platforms share.

No names, phones or addresses: of the buyer only the platform's id. Ids are strings, money and quantities Decimals,
money in the shop's currency. Numbers of the platform's own lists (status, type, channel) are kept beside their word,
which is None where the platform does not document it.
"""

from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Literal

import msgspec
from msgspec import Struct

SalesKind = Literal["order", "bill"]
SalesList = Literal["orders", "bills", "deleted_orders", "deleted_bills"]

_HASH_VERSION = b"1"
_canonical = msgspec.json.Encoder(order="sorted")


class SalesLine(Struct, frozen=True, kw_only=True):
    """One product of an order or a bill. total: what it comes to, VAT and discount included."""

    product_id: str | None
    code: str | None
    name: str | None
    quantity: Decimal | None
    price: Decimal | None
    discount: Decimal | None
    vat_percent: Decimal | None
    total: Decimal


class SalesDocument(Struct, frozen=True, kw_only=True):
    """An order or a retail bill. order_id: of a bill that belongs to an order; dated: the day of a bill."""

    kind: SalesKind
    document_id: str
    order_id: str | None = None
    depot_id: str | None = None
    customer_id: str | None = None
    type: int | None = None
    type_word: str | None = None
    status: int | None = None
    status_word: str | None = None
    channel: int | None = None
    channel_word: str | None = None
    currency: str
    discount: Decimal | None = None
    ship_fee: Decimal | None = None
    dated: date | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    lines: tuple[SalesLine, ...] = ()

    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.total for line in self.lines), Decimal(0))


class Deletion(Struct, frozen=True, kw_only=True):
    """One deleted order or bill, and when it was deleted."""

    document_id: str
    deleted_at: datetime


def sales_hash(document: SalesDocument) -> str:
    """The same text for the same content."""
    return blake2b(_HASH_VERSION + _canonical.encode(document), digest_size=16).hexdigest()
