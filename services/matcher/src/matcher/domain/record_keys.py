"""The keys of a record as the matcher stores them, so that SQL finds the records that share one.

A key is its kind, one blank and its value. The values come from the functions with which the indexes compare
(keys.py, phones.py, emails.py), so that a stored key never disagrees with a score.
"""

from collections.abc import Iterable

from matcher.domain.customers import Customer
from matcher.domain.keys import barcode_hint, barcode_key, sku_hints, sku_key
from matcher.domain.phones import Phone

SKU, GTIN, LOOSE_SKU, LOOSE_BARCODE = "sku", "gtin", "loose-sku", "loose-barcode"
PHONE, EMAIL, AMBIGUOUS = "phone", "email", "ambiguous"
EVIDENCE: dict[str, tuple[str, ...]] = {"product": (SKU, GTIN), "customer": (PHONE, EMAIL)}
"""The kinds of keys that may link, by kind of record; the others only suggest."""


def product_keys(sku: str | None, barcode: str | None) -> list[str]:
    """Keys and hints of a product, each once."""
    keys = [_key(SKU, sku_key(sku)), _key(GTIN, barcode_key(barcode)), _key(LOOSE_BARCODE, barcode_hint(barcode))]
    keys += [f"{LOOSE_SKU} {hint}" for hint in sorted(sku_hints(sku))]
    return [key for key in keys if key is not None]


def customer_keys(customer: Customer) -> list[str]:
    """Usable phone numbers and the e-mail address of a customer."""
    phones, email = customer.keys()
    keys = [_key(EMAIL, email), *(f"{PHONE} {number}" for number in phones)]
    keys += [f"{AMBIGUOUS} {number}" for number, phone in phones.items() if phone.ambiguous]
    return [key for key in keys if key is not None]


def read_customer_keys(keys: Iterable[str]) -> tuple[dict[str, Phone], str | None]:
    """What Customer.keys gave when these keys were stored."""
    values: dict[str, list[str]] = {}
    for key in keys:
        kind, _, value = key.partition(" ")
        values.setdefault(kind, []).append(value)
    ambiguous = set(values.get(AMBIGUOUS, ()))
    phones = {number: Phone(number, number in ambiguous) for number in values.get(PHONE, ())}
    return phones, next(iter(values.get(EMAIL, ())), None)


def key_of(kind: str, keys: list[str]) -> str | None:
    """The value of the first key of a kind."""
    prefix = f"{kind} "
    return next((key.removeprefix(prefix) for key in keys if key.startswith(prefix)), None)


def _key(kind: str, value: str | None) -> str | None:
    return None if value is None else f"{kind} {value}"
