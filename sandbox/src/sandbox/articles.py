"""What a shop holds before it takes a platform's form: articles with their units, and persons."""

from decimal import Decimal

import msgspec

# Files carry no dates; records get one in the 200 days after this (2026-01-05T00:00:00Z), by their id.
FIRST_DAY = 1_767_571_200


class Unit(msgspec.Struct, kw_only=True):
    """One sellable thing. `stock` has one whole number a depot or location; `price` is in VND."""

    stock: list[int]
    sku: str | None = None
    barcode: str | None = None
    price: Decimal | None = None
    option: str | None = None


class Article(msgspec.Struct, kw_only=True):
    """One product. `truth` is equal on both sides for the same real thing, where the sandbox knows it."""

    id: int
    title: str
    units: list[Unit]
    brand: str = ""
    description: str = ""
    model: str | None = None
    truth: str | None = None
    updated_at: int = FIRST_DAY


class Person(msgspec.Struct, kw_only=True):
    """One customer. Names and phones are written as that shop's staff wrote them."""

    id: int
    given: str
    family: str
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    city: str | None = None
    gender: int | None = None
    birthday: str | None = None
    points: int = 0
    orders: int = 0
    spent: Decimal = Decimal(0)
    company: str | None = None
    truth: str | None = None
    updated_at: int = FIRST_DAY


def day_of(number: int) -> int:
    """The date (unix seconds) a file's record gets from its id: spread over 200 days, the same every time."""
    return FIRST_DAY + (number * 7_919) % (200 * 86_400)
