"""Vietnamese phone numbers in every form people write them, as E.164 keys.

Facts: Vietnam's numbering change of 15 September 2018 (11-digit mobiles got 10 digits, the last seven kept) and
the metadata of `phonenumbers` 9.0.43.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

RENUMBERED: dict[str, str] = {
    # Viettel
    "162": "32", "163": "33", "164": "34", "165": "35", "166": "36", "167": "37", "168": "38", "169": "39",
    # MobiFone
    "120": "70", "121": "79", "122": "77", "126": "76", "128": "78",
    # VinaPhone
    "123": "83", "124": "84", "125": "85", "127": "81", "129": "82",
    # Vietnamobile, Gmobile
    "186": "56", "188": "58", "199": "59",
}  # fmt: skip
"""First three significant digits before the change, and what replaced them."""

AREAS: dict[str, str] = {"43": "243", "83": "283"}
"""Hanoi and Ho Chi Minh City before 2017: area code and the 3 that their eight-digit numbers began with.

Other cities are not converted, and neither are the newer mobile prefixes that begin alike (089, 088).
"""

_PERSONAL = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP}
)
_FLOAT = re.compile(r"^(\+?\d+)\.0+$")
_SCIENTIFIC = re.compile(r"^(\d)(?:\.(\d+))?e\+?(\d{1,2})$", re.IGNORECASE)
_PREFIX = re.compile(r"^\s*(?:tel|phone|sdt|sđt|đt|dt|mobile|zalo)\s*[:.]?\s*", re.IGNORECASE)
_ALTERNATES = re.compile(r"[/,;|&\n]|\s+-\s+|\s+(?:or|hoặc|và)\s+", re.IGNORECASE)
_LETTER_O = re.compile(r"(?<=[\d+.\-\s()])[oO]|^[oO](?=\d)")
_LETTER = re.compile(r"[^\W\d_]")
_GROUPED = re.compile(r"[\d+().\-\s]+")
_SEQUENCES = ("01234567890123456789", "98765432109876543210")


@dataclass(frozen=True, slots=True)
class Phone:
    """A number that can identify a person.

    `ambiguous`: written `083…`, it is a VinaPhone mobile of today or a Ho Chi Minh City landline of before 2017.
    """

    e164: str
    ambiguous: bool = False


@lru_cache(maxsize=262_144)
def read_phones(text: str) -> tuple[Phone, ...]:
    """All usable numbers in one field, each once, in order; empty where nothing in it can identify a person.

    Premium and toll-free numbers and what is no number give nothing; for fillers ask `is_filler`.
    """
    clean = unicodedata.normalize("NFKC", text).strip().lstrip("'’‘").strip()
    found: dict[str, Phone] = {}
    for part in _parts(clean):
        phone = _read_one(part)
        if phone is None:
            continue
        before = found.get(phone.e164)
        found[phone.e164] = phone if before is None else Phone(phone.e164, before.ambiguous or phone.ambiguous)
    return tuple(found.values())


def is_filler(e164: str) -> bool:
    """Whether a number was typed only to fill the field: one digit repeated (0999999999, 0900000000) or counting."""
    digits = e164.removeprefix("+84")
    return len(set(digits[-7:])) == 1 or any(digits in sequence for sequence in _SEQUENCES)


def _parts(clean: str) -> list[str]:
    whole = _FLOAT.match(clean)
    if whole:
        return [whole.group(1)]
    scientific = _SCIENTIFIC.match(clean)
    if scientific:
        expanded = _expand(*scientific.groups())
        return [] if expanded is None else [expanded]
    parts: list[str] = []
    for part in _ALTERNATES.split(clean):
        bare = _LETTER_O.sub("0", _PREFIX.sub("", part))
        letter = _LETTER.search(bare)
        grouped = _GROUPED.match(bare[: letter.start()] if letter else bare)
        if grouped:
            parts.append(grouped.group().strip())
    return parts


def _expand(lead: str, fraction: str | None, exponent: str) -> str | None:
    """9.12345678E8 is exact; 9.1E8 has lost its digits and is rejected."""
    digits = lead + (fraction or "")
    return digits if len(digits) == int(exponent) + 1 else None


def _read_one(part: str) -> Phone | None:
    digits = re.sub(r"\D", "", part)
    international = part.lstrip("( ").startswith("+") or digits.startswith("00")
    if not 8 <= len(digits) <= 15:
        return None
    national = _national(digits, international=international)
    if national is None:
        return _valid(f"+{digits.removeprefix('00')}")
    if len(national) == 10 and national[:3] in RENUMBERED:
        national = RENUMBERED[national[:3]] + national[3:]
        return _valid(f"+84{national}")
    direct = _valid(f"+84{national}")
    if direct is not None:
        ambiguous = not international and digits.startswith("083") and len(digits) == 10
        return Phone(direct.e164, ambiguous)
    if len(national) == 9 and national[:2] in AREAS:
        return _valid(f"+84{AREAS[national[:2]]}{national[2:]}")
    return None


def _national(digits: str, *, international: bool) -> str | None:
    """The significant number without country code and trunk zero; None for another country's number."""
    if international:
        bare = digits.removeprefix("00")
        return bare[2:].lstrip("0") if bare.startswith("84") else None
    if digits.startswith("84") and len(digits) >= 11:
        return digits[2:].lstrip("0")
    return digits.lstrip("0")


def _valid(e164: str) -> Phone | None:
    try:
        parsed = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed) or phonenumbers.number_type(parsed) not in _PERSONAL:
        return None
    return Phone(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))
