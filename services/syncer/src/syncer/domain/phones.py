"""Phone numbers as they compare: E.164, and Vietnamese mobiles in the numbering of today.

Facts: on 15 September 2018 the 11-digit mobile numbers of Vietnam became 10-digit ones; the last seven digits stayed.
"""

import re
import unicodedata
from typing import Final

RENUMBERED: Final = {
    # Viettel
    "162": "32", "163": "33", "164": "34", "165": "35", "166": "36", "167": "37", "168": "38", "169": "39",
    # MobiFone
    "120": "70", "121": "79", "122": "77", "126": "76", "128": "78",
    # VinaPhone
    "123": "83", "124": "84", "125": "85", "127": "81", "129": "82",
    # Vietnamobile, Gmobile
    "186": "56", "188": "58", "199": "59",
}  # fmt: skip
"""First significant digits before the change and since."""

_BEFORE: Final = {new: old for old, new in RENUMBERED.items()}
_VIETNAM: Final = "+84"
_NO_DIGIT: Final = re.compile(r"[^0-9]")


def present_form(text: str) -> str:
    """The number in E.164 with today's prefix, whatever its spelling; the text itself where it is no number."""
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = _NO_DIGIT.sub("", plain)
    international = plain.startswith("+") or digits.startswith("00")
    digits = digits.removeprefix("00") if international else digits
    if digits.startswith("84") and (international or len(digits) >= 11):
        national = digits[2:].removeprefix("0")
    elif not international and digits.startswith("0") and len(digits) >= 10:
        national = digits[1:]
    else:
        return f"+{digits}" if international and digits else plain
    if len(national) == 10 and national[:3] in RENUMBERED:
        national = RENUMBERED[national[:3]] + national[3:]
    return _VIETNAM + national


def spellings(number: str) -> set[str]:
    """The forms under which a number may be stored: as it is, of today, and of before the renumbering."""
    today = present_form(number)
    found = {number, today}
    national = today.removeprefix(_VIETNAM)
    if len(national) == 9 and today.startswith(_VIETNAM) and national[:2] in _BEFORE:
        found.add(_VIETNAM + _BEFORE[national[:2]] + national[2:])
    return found
