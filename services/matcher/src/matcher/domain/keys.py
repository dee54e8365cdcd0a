"""Keys that name a product exactly: SKU and barcode."""

import re

from matcher.domain.text import compact

_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_NO_SKU = frozenset({"NA", "NONE", "NULL", "NAN", "SKU", "TEST", "DEFAULT", "UNKNOWN", "KHONG", "KHONGCO"})
MIN_SKU = 3
"""A shorter code is a running number, not a name."""


def sku_key(sku: str | None) -> str | None:
    """An SKU as it compares: letters and digits, upper case. None for empty ones, fillers and all zeros."""
    key = compact(sku)
    if len(key) < MIN_SKU or key in _NO_SKU or not key.strip("0"):
        return None
    return key


def barcode_key(barcode: str | None) -> str | None:
    """A GTIN as 14 digits, so that UPC-A, its zero-padded EAN-13 and GTIN-14 compare equal.

    None where the check digit is wrong, the length is no GTIN's, or the digits are a filler. Spreadsheets'
    "8934563138165.0" and a leading apostrophe are understood; numbers shorter by lost leading zeros are not guessed.
    """
    if not barcode:
        return None
    digits = re.sub(r"[\s'’-]", "", re.sub(r"\.0+$", "", barcode.strip()))
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _GTIN_LENGTHS:
        return None
    key = digits.zfill(14)
    # Fewer than three different digits never come from GS1.
    if len(set(key.lstrip("0"))) < 3 or not _check_digit_holds(key):
        return None
    return key


def _check_digit_holds(key: str) -> bool:
    """GS1: weights 3 and 1 from the digit left of the check digit."""
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(key[:-1])))
    return (10 - weighted % 10) % 10 == int(key[-1])
