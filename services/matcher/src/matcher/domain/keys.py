"""Codes of products: SKU and barcode, as evidence for a link and as hints.

`sku_code` is an SKU as written, `sku_key` one that is specific enough to link, `sku_hints` its looser forms, which
only ever suggest. `barcode_key` is a valid GTIN that GS1 has assigned, `barcode_hint` any other barcode.
"""

import re
import unicodedata
from functools import lru_cache

from platforms.spelling import visible, without_accents

MIN_SKU = 3
"""A shorter code is a running number, not a name."""
MIN_NUMBER = 4
"""So is a number of fewer digits than this."""
_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_QUOTES = "'’‘`´\""
_PLACEHOLDERS = frozenset(
    {
        # Nothing, in English and Vietnamese.
        *("na", "n", "none", "null", "nil", "nan", "no", "empty", "blank", "undefined", "unknown", "unavailable"),
        *("nosku", "nocode", "nobarcode", "notavailable", "notapplicable", "missing", "false", "true", "void"),
        *("khong", "khongco", "khongma", "khongcoma", "khongsku", "khongbiet", "khongro", "ko", "koco", "kocoma"),
        *("trong", "rong", "botrong", "chua", "chuaco", "chuacoma", "chuanhap", "chuacapnhat", "chuabiet", "chuaro"),
        # Not yet.
        *("tbd", "tba", "tbc", "todo", "pending", "capnhat", "dangcapnhat", "capnhatsau", "updating", "sau"),
        # The field's own name, and what somebody types to try it out.
        *("sku", "code", "barcode", "upc", "ean", "gtin", "isbn", "id", "ma", "masp", "masanpham", "mahang"),
        *("mavach", "masku", "mahanghoa", "sp", "sanpham", "hang", "hanghoa", "product", "item", "variant"),
        *("default", "defaulttitle", "macdinh", "standard", "sample", "example", "vidu", "dummy", "asd", "asdf"),
        *("qwerty", "qwe", "abc", "abcd", "abcde", "abc123", "abcxyz", "xyz", "aaa", "foo", "bar", "foobar"),
    }
)
"""Squashed: without accents, case, spaces and punctuation."""
_GENERAL = frozenset(
    {
        *("khac", "other", "others", "misc", "moi", "new", "cu", "old", "sale", "hot", "gift", "qua", "quatang"),
        *("combo", "set", "bo", "le", "si", "all", "tatca", "chung", "ao", "quan", "giay", "dep", "tui", "mu", "vay"),
        *("nam", "nu", "tre", "treem", "unisex", "size", "freesize", "onesize", "mau", "nhieumau", "color", "colour"),
        *("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "small", "medium", "large", "free", "fs", "os"),
        *("den", "trang", "do", "xanh", "vang", "hong", "tim", "nau", "xam", "be", "cam", "black", "white", "red"),
        *("blue", "green", "yellow", "pink", "purple", "brown", "grey", "gray", "orange"),
    }
)
"""What many products have in common, squashed. It names none of them, but two that differ are two products."""
_TRIAL = re.compile(r"^(test|testing|thu|demo|temp|tmp|tam|copy)\d*$")
_SPREADSHEET_ERROR = re.compile(r"^#(n/?a|ref|value|name|div/0|num|null|spill|#+)[!?]?$")
_SCIENTIFIC = re.compile(r"^[+-]?\d+(?:[.,]\d+e[+-]?\d+|e[+-]\d+)$")
_FLOAT = re.compile(r"^(\d+)[.,]0+$")
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|thg\s?\d{1,2})"
_DATE = re.compile(
    rf"^(?:\d{{1,2}}[-/ ]{_MONTHS}(?:[-/ ]\d{{2,4}})?|{_MONTHS}[-/ ]\d{{2,4}}|.*\d{{1,2}}:\d{{2}}:\d{{2}})$"
)
_UP, _DOWN = "01234567890123456789", "98765432109876543210"
_PARTS = re.compile(r"[^\W\d_]+|\d+")


@lru_cache(maxsize=65_536)
def as_written(text: str | None) -> str:
    """A code trimmed, NFC, casefolded, without invisible characters and the apostrophe that marks text in sheets."""
    return unicodedata.normalize("NFC", visible(visible(text).lstrip(_QUOTES)).casefold())


def sku_code(text: str | None) -> str | None:
    """An SKU as written; None where the field holds no code: empty, a placeholder, or damaged by a spreadsheet."""
    code = as_written(text)
    return None if _is_damaged(code) or _is_placeholder(squash(code)) else code


def sku_key(text: str | None) -> str | None:
    """An SKU as written; None where it holds no code, or one that is too short or too general for one product."""
    code = sku_code(text)
    return code if code is not None and _is_specific(squash(code)) else None


def sku_hints(text: str | None) -> frozenset[str]:
    """Looser forms of an SKU: its parts in any order without leading zeros, and its characters with O as 0, I as 1."""
    code = unicodedata.normalize("NFKC", as_written(text))
    whole = _FLOAT.match(code)
    code = whole.group(1) if whole else code
    bare = squash(code)
    if _is_damaged(code) or _is_placeholder(bare) or not _is_specific(bare):
        return frozenset()
    parts = sorted(
        part.lstrip("0") or "0" if part.isdigit() else part for part in _PARTS.findall(without_accents(code))
    )
    return frozenset({" ".join(parts), bare.translate(str.maketrans("oil", "011"))})


def barcode_key(text: str | None) -> str | None:
    """A GTIN as 14 digits, so that UPC-A, its zero-padded EAN-13 and GTIN-14 compare equal.

    None where the check digit is wrong, the length is no GTIN's, the digits are a filler, or the number lies in a
    range that every shop uses for itself (scales, coupons): such a number names different things in two shops. A
    spreadsheet's "8934563138165.0" is read, as the check digit proves it; lost leading zeros are not guessed. A
    carton's GTIN-14 (first digit 1 to 9) is not the GTIN of what is in it.
    """
    key = _gtin(_digits(text))
    return None if key is None or _is_in_store(key) else key


def barcode_hint(text: str | None) -> str | None:
    """Any barcode that is no filler, in a form that may suggest: without punctuation and leading zeros.

    An ISBN-10 becomes the number of its ISBN-13.
    """
    digits = _digits(text)
    isbn = _isbn13(digits)
    if isbn is not None:
        return isbn
    bare = squash(digits)
    if _is_damaged(digits) or _is_placeholder(bare) or len(bare) < MIN_NUMBER:
        return None
    return bare.lstrip("0")


@lru_cache(maxsize=65_536)
def squash(code: str) -> str:
    """The letters and digits of a code, without accents, case and compatibility forms."""
    return "".join(c for c in without_accents(code) if c.isalnum())


def _is_damaged(code: str) -> bool:
    """Whether a spreadsheet has turned a code into a number, a date or an error; the code is lost."""
    return any(pattern.match(code) for pattern in (_FLOAT, _SCIENTIFIC, _SPREADSHEET_ERROR, _DATE))


def _is_placeholder(bare: str) -> bool:
    if len(set(bare)) < 2 and len(bare) != 1:
        return True  # nothing, xxx, 000
    return bare in _PLACEHOLDERS or _TRIAL.match(bare) is not None or _is_counting(bare)


def _is_counting(bare: str) -> bool:
    """0123, 123456, 987, 654321: what a hand on the number row types."""
    if len(bare) < 3:
        return bare == "0"
    up, down = bare in _UP and bare[0] in "01", bare in _DOWN and (bare[0] == "9" or bare[-1] in "01")
    return up or down


def _is_specific(bare: str) -> bool:
    return len(bare) >= (MIN_NUMBER if bare.isdigit() else MIN_SKU) and bare not in _GENERAL


def _digits(text: str | None) -> str:
    code = unicodedata.normalize("NFKC", as_written(text)).lstrip(_QUOTES)
    whole = _FLOAT.match(code)
    return re.sub(r"[\s'’‐-―-]", "", whole.group(1) if whole else code)


def _gtin(digits: str) -> str | None:
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _GTIN_LENGTHS:
        return None
    key = digits.zfill(14)
    body = key.lstrip("0")
    # Fewer than three different digits never come from GS1, nor does counting.
    if len(set(body)) < 3 or _is_counting(body[:-1]):
        return None
    return key if _check_digit_holds(key) else None


def _is_in_store(key: str) -> bool:
    """GS1's ranges for restricted circulation and coupons; for eight digits those that begin with 0 or 2."""
    if key.startswith("000000"):
        return key[6] in "02"
    prefix = int(key[1:4])
    ranges = ((20, 29), (40, 59), (200, 299), (980, 984), (990, 999))
    return any(first <= prefix <= last for first, last in ranges)


def _check_digit_holds(key: str) -> bool:
    """GS1: weights 3 and 1 from the digit left of the check digit."""
    return _check_digit(key[:-1]) == key[-1]


def _check_digit(body: str) -> str:
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str((10 - weighted % 10) % 10)


def _isbn13(code: str) -> str | None:
    """The digits of the ISBN-13 of an ISBN-10."""
    if not re.fullmatch(r"[0-9]{9}[0-9x]", code) or len(set(code)) < 3:
        return None
    total = sum((10 - place) * (10 if digit == "x" else int(digit)) for place, digit in enumerate(code))
    if total % 11:
        return None
    body = f"978{code[:9]}"
    return body + _check_digit(body)
