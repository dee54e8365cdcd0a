"""A record: what a platform lists as one item, in the words that all platforms share.

Ids are strings. Text is never empty: what a platform leaves blank is None. Money and quantities are Decimals,
money in the shop's currency.
"""

from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

_HASH_VERSION = b"2"
"""A new number writes every record anew at its next pull: raise it when the mapping changes what it keeps."""


class Stock(Struct, frozen=True):
    """Sellable quantity at one place (a Nhanh depot, a Shopify location). None: the platform does not say."""

    place_id: str
    available: Decimal | None


class Variant(Struct, frozen=True, kw_only=True):
    """Something that is sold under its own SKU.

    name: a full name of its own, options: what tells it from its siblings. vat_mode: 1 = prices include VAT,
    2 = VAT comes on top, None = unknown. price is the retail price; `prices` holds every kind the platform has.
    """

    variant_id: str
    product_id: str
    name: str | None = None
    options: str | None = None
    brand: str | None = None
    model: str | None = None
    description: str | None = None
    status: str | None = None
    sku: str | None = None
    barcode: str | None = None
    price: Decimal | None = None
    prices: dict[str, Decimal] = {}
    vat_mode: int | None = None
    currency: str | None = None
    stock: Decimal | None = None
    inventory_item_id: str | None = None
    places: tuple[Stock, ...] = ()


class Product(Struct, frozen=True, kw_only=True):
    """What variants belong to."""

    product_id: str
    title: str
    brand: str | None = None
    model: str | None = None
    description: str | None = None
    status: str | None = None


class ProductRecord(Struct, frozen=True, kw_only=True):
    """A listed product. A Nhanh parent has no variants here, a Nhanh child no product: each is listed by itself."""

    record_id: str
    product: Product | None
    variants: tuple[Variant, ...]


class CustomerRecord(Struct, frozen=True, kw_only=True):
    """A listed customer. phone: as the platform has it; phones: all numbers, see `phones.alternates`."""

    record_id: str
    name: str | None = None
    phone: str | None = None
    phones: tuple[str, ...] = ()
    email: str | None = None
    address: str | None = None
    city: str | None = None
    totals: dict[str, Any] = {}
    updated_at: datetime | None = None


Record = ProductRecord | CustomerRecord


class StockRecord(Struct, frozen=True, kw_only=True):
    """The quantities of one variant, all of its places."""

    variant_id: str
    stock: Decimal | None
    places: tuple[Stock, ...] = ()


_canonical = msgspec.json.Encoder(order="sorted")


def content_hash(record: Record) -> str:
    """The same text for the same content, whatever the order of keys in the platform's JSON."""
    return blake2b(_HASH_VERSION + _canonical.encode(record), digest_size=16).hexdigest()
