"""Phone numbers as people type them, brought to one form so that a search finds them.

This is for finding only: whether two customers are the same person is the matcher's to say, which also knows
the renumbering of 2018, shared numbers and fillers. So nothing is thrown away here: text without a readable
number stays as it is.
"""

import re
import unicodedata
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[/,;|\n]| - | hoặc | or ")
_FLOAT_TAIL = re.compile(r"\.0+$")
_FIRST_LETTER = re.compile(r"[^\W\d_]")
_LETTER_O = re.compile(r"(?<=\d)[oO]|^[oO](?=\d)")
_VIETNAM = "+84"


def searchable(raw: str) -> list[str]:
    """The numbers in one text, as +84912345678 where they are Vietnamese, else as their digits; maybe none."""
    found: list[str] = []
    for part in _SEPARATORS.split(unicodedata.normalize("NFKC", raw)):
        number = _number(part)
        if number is not None and number not in found:
            found.append(number)
    return found


def alternates(raws: Iterable[str | None]) -> tuple[str, ...]:
    """All numbers of a customer, the first text's first; a text without a number stands for itself."""
    found: dict[str, None] = {}
    for raw in raws:
        if raw is not None:
            found.update(dict.fromkeys(searchable(raw) or [raw]))
    return tuple(found)


def _number(part: str) -> str | None:
    part = part.strip().lstrip("'").strip()
    if part.lower().startswith("tel:"):
        part = part[4:]
    part = _LETTER_O.sub("0", _FLOAT_TAIL.sub("", part))
    letter = _FIRST_LETTER.search(part)
    if letter is not None:  # "0912345678 (zalo)"
        part = part[: letter.start()]
    abroad = part.lstrip().startswith("+")
    digits = "".join(char for char in part if "0" <= char <= "9")
    if digits.startswith("00"):
        abroad, digits = True, digits[2:]
    if len(digits) < 6:
        return None
    if digits.startswith("84") and (abroad or len(digits) >= 11):
        return _vietnamese(digits[2:].removeprefix("0")) or f"+{digits}"
    if abroad:
        return f"+{digits}"
    return _vietnamese(digits.removeprefix("0")) or digits


def _vietnamese(national: str) -> str | None:
    """Nine digits; ten for mobiles of before 2018 and landlines with their area code."""
    if len(national) in {9, 10} and national[0] in "123456789":
        return _VIETNAM + national
    return None
