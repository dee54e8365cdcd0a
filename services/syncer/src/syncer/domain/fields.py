"""The four forms of a value that a sync writes. platforms/field_names.py has the names of the fields.

value         what is sent to the channel, as text
key           what is compared: two values with one key are the same to a channel
last written  what is stored of a written value: the key, or a hash of it where the value is personal
shown         what people may see: personal values masked
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from platforms.field_names import EMAIL, NAME, PHONE, metafield_key
from platforms.spelling import tidy
from syncer.domain.phones import present_form

Values = Mapping[str, str]
Present = Mapping[str, str | None]
"""None: the channel has the field and it is empty. A missing name: the value is unknown."""

_PERSONAL = frozenset({NAME, PHONE, EMAIL})
_SHOWN_LENGTH = 200  # well under the 512 of an event's text


def plain_number(value: Decimal) -> str:
    """A number without exponent and without zeros at the end of its fraction: 1.50 and 1.5 are one."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def key_of(field: str, value: str | None) -> str:
    """The compared form. Names ignore the order of words, because shops split and join them differently.

    A phone number is the same in every spelling, the one of before Vietnam's renumbering too.
    """
    if value is None:
        return ""
    text = tidy(value)
    if field == NAME:
        return " ".join(sorted(text.split()))
    if field == EMAIL:
        return text.lower()
    if field == PHONE:
        return present_form(text)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return plain_number(number) if number.is_finite() else text


def is_personal(field: str) -> bool:
    """Whether the field tells something about a person."""
    return field in _PERSONAL or metafield_key(field) is not None


def last_written_of(field: str, value: str | None) -> str:
    """What is stored of a written value, so that a later one can be compared with it."""
    key = key_of(field, value)
    if is_personal(field):
        return "sha256:" + hashlib.sha256(f"{field}\0{key}".encode()).hexdigest()
    return key


def shown(field: str, value: str | None) -> str | None:
    """A value as people may see it: phones by their ends, e-mails and names by first letters."""
    if value is None or field not in _PERSONAL:
        return None if value is None else value[:_SHOWN_LENGTH]
    if field == PHONE:
        return f"{value[:3]}…{value[-2:]}" if len(value) > 7 else "…"
    if field == EMAIL:
        local, at, domain = value.partition("@")
        return f"{local[:1]}…{at}{domain}"[:_SHOWN_LENGTH]
    return " ".join(f"{word[:1]}…" for word in value.split())[:_SHOWN_LENGTH]
