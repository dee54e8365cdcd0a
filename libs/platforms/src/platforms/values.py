"""Reading values from outside, platform answers and files alike: text in one normal form, codes, numbers.

A number that can mean two things is refused with its raw text: a price read wrongly is written to a shop.
"""

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

from platforms.errors import NotANumber

MAX_DIGITS: Final = 24
"""No price or quantity has more digits; text such as 1e999999 must not reach the database."""
_SHOWN: Final = 40  # characters of a refused text that its error repeats

_FLOAT_DIGITS: Final = 15
"""A float stands for every number of so many digits."""

_PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_GROUPED_PERHAPS = re.compile(r"[+-]?(?!0\.)[0-9]{1,3}\.[0-9]{3}")
_DOLLARS = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]{1,2})?")
_DONG = re.compile(r"[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+")
_MARKS: Final = {"us$": _DOLLARS, "$": _DOLLARS, "usd": _DOLLARS} | dict.fromkeys(
    ("vnđ", "vnd", "đồng", "₫", "đ"), _DONG
)
# Characters that show nothing besides those of the categories Cc and Cf: joiners, fillers, variation selectors.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def normal_text(raw: str) -> str:
    """`raw` in normal form C, without blank and invisible characters at both ends. It may be empty."""
    text = unicodedata.normalize("NFC", raw)
    start, end = 0, len(text)
    while start < end and _is_empty(text[start]):
        start += 1
    while end > start and _is_empty(text[end - 1]):
        end -= 1
    return text[start:end]


def code_text(raw: str) -> str:
    """A SKU, barcode, phone, e-mail or id: as `normal_text`, without invisible characters inside it either.

    A no-break space and its kin become a plain space; line breaks and tabs stay, because lists of phones hold them.
    """
    text = normal_text(raw)
    if text.isascii() and text.isprintable():
        return text
    visible = (" " if unicodedata.category(char) == "Zs" else char for char in text if not _is_invisible(char))
    return normal_text("".join(visible))


def decimal_of(value: Any) -> Decimal:
    """A JSON number, or text that holds a plain decimal (`-1250`, `1699.5`), exactly. 120000.0 becomes 120000.

    Raises NotANumber for anything else. In text that is: separators of thousands, more than one point, a single point
    with exactly three digits behind it (`1.250` may mean 1250; `0.125` and `1250.000` may not), exponents, currency
    marks, blanks inside, digits that are not ASCII.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise NotANumber(f"expected a number, got {_kind(value)}")
    if isinstance(value, str):
        text = normal_text(value)
        if not _PLAIN.fullmatch(text):
            _refuse(value)
        if _GROUPED_PERHAPS.fullmatch(text):
            raise NotANumber(f"{_shown(value)} is ambiguous: a thousand times more if its point separates thousands")
        return _bounded(Decimal(text), value)
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        raise NotANumber(f"a number of more than {MAX_DIGITS} digits is none that a shop can mean")
    # The shortest text that gives the same float: that is what the platform wrote.
    return _bounded(value if isinstance(value, Decimal) else Decimal(str(value)), value)


def price_of(value: Any) -> Decimal:
    """A price from a file: what `decimal_of` takes, or text whose currency mark tells how its digits are grouped.

    `$1,699.00` groups by commas and has up to two decimals; `1.250.000₫`, `1.250 đ`, `VND 1.250.000` group by points
    and have none. Raises NotANumber, also below zero.
    """
    price = _marked(value) if isinstance(value, str) else None
    if price is None:
        price = decimal_of(value)
    if price < 0:
        raise NotANumber(f"{_shown(value)} is below zero")
    return price


def json_number(text: str) -> float | Decimal:
    """A JSON number with a fraction or an exponent without losing a digit: a float that stands for exactly that number,
    else a Decimal. For a decoder's `float_hook`."""
    number = float(text)
    if len(text) <= _FLOAT_DIGITS and "e" not in text.lower():
        return number
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of more digits than a Decimal has
        return number
    # repr gives the shortest text of a float, so digits beyond it would be lost.
    return number if exact == Decimal(repr(number)) else exact


def _marked(value: str) -> Decimal | None:
    """The price of a text with a currency mark before or behind it; None for a text without one."""
    bare, form = normal_text(value), None
    for before in (True, False):
        for mark, its_form in _MARKS.items():
            folded = bare.casefold()
            if len(folded) != len(bare) or not (folded.startswith(mark) if before else folded.endswith(mark)):
                continue
            if form not in {None, its_form}:
                _refuse(value)
            form = its_form
            bare = normal_text(bare[len(mark) :] if before else bare[: -len(mark)])
            break
    if form is None:
        return None
    if not form.fullmatch(bare):
        _refuse(value)
    return _bounded(Decimal(bare.replace(",", "") if form is _DOLLARS else bare.replace(".", "")), value)


def _bounded(number: Decimal, raw: Any) -> Decimal:
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > MAX_DIGITS:
        raise NotANumber(f"{_shown(raw)} is no number that a shop can mean")
    if not number:
        return Decimal(0)
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _refuse(raw: str) -> NoReturn:
    plain = " without separators of thousands" if any(char.isdigit() for char in raw) else ""
    raise NotANumber(f"{_shown(raw)} is no number{plain}")


def _shown(raw: Any) -> str:
    return repr(str(raw)[:_SHOWN])


def _kind(value: Any) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", bool: "a truth value"}
    return names.get(type(value), type(value).__name__)


def _is_empty(char: str) -> bool:
    return char.isspace() or _is_invisible(char)


def _is_invisible(char: str) -> bool:
    """Format and control characters; line breaks, tabs and the NUL, which no database takes, are none of them."""
    if char in "\t\n\r\0":
        return False
    return unicodedata.category(char) in {"Cc", "Cf"} or _INVISIBLE.match(char) is not None
