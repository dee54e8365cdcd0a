"""The keys of a record as the matcher stores them, so that SQL finds the records that share one.

A key is its kind, one blank and its value. The values come from the functions with which the indexes compare
(keys.py, phones.py, emails.py), so that a stored key never disagrees with a score.
"""

from matcher.domain.customers import Customer
from matcher.domain.emails import email_key
from matcher.domain.keys import barcode_hint, barcode_key, sku_hints, sku_key

SKU, GTIN, LOOSE_SKU, LOOSE_BARCODE = "sku", "gtin", "loose-sku", "loose-barcode"
PHONE, EMAIL = "phone", "email"
EVIDENCE: dict[str, tuple[str, ...]] = {"product": (SKU, GTIN), "customer": (PHONE, EMAIL)}
"""The kinds of keys that may link, by kind of record; the others only suggest."""


def product_keys(sku: str | None, barcode: str | None) -> list[str]:
    """Keys and hints of a product, each once."""
    keys = [_key(SKU, sku_key(sku)), _key(GTIN, barcode_key(barcode)), _key(LOOSE_BARCODE, barcode_hint(barcode))]
    keys += [f"{LOOSE_SKU} {hint}" for hint in sorted(sku_hints(sku))]
    return [key for key in keys if key is not None]


def customer_keys(customer: Customer) -> list[str]:
    """Usable phone numbers and the e-mail address of a customer."""
    email = _key(EMAIL, email_key(customer.email))
    return [*(f"{PHONE} {number}" for number in customer.numbers()), *([] if email is None else [email])]


def key_of(kind: str, keys: list[str]) -> str | None:
    """The value of the first key of a kind."""
    prefix = f"{kind} "
    return next((key.removeprefix(prefix) for key in keys if key.startswith(prefix)), None)


def _key(kind: str, value: str | None) -> str | None:
    return None if value is None else f"{kind} {value}"
