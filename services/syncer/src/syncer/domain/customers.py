"""What a shop's customer should hold, from Nhanh's record. An empty field on Nhanh never blanks one in the shop."""

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from syncer.domain import fields

METAFIELD_TYPES: Final[Mapping[str, str]] = {
    "customer_id": "single_line_text_field",
    "total_amount": "number_decimal",
    "points": "number_integer",
    "level": "single_line_text_field",
}
"""Key in our namespace -> Shopify's metafield type."""

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_VIETNAM = re.compile(r"\+84(?:[35789]\d{8}|2\d{8,9})")
_SAME_DIGITS = re.compile(r"(\d)\1{5}$")
_LONGEST_NAME = 255


def phone(phones: Sequence[str]) -> str | None:
    """The first number that a shop would take: E.164, and in Vietnam a mobile or landline of today's numbering.

    A filler such as 0900000000 is nobody's number.
    """
    return next((one for one in phones if _is_number(one)), None)


def _is_number(text: str) -> bool:
    form = _VIETNAM if text.startswith("+84") else _E164
    return form.fullmatch(text) is not None and _SAME_DIGITS.search(text) is None


def email(text: str | None) -> str | None:
    """The address in lower case, None if it can't be one."""
    address = (text or "").strip().lower()
    return address if _EMAIL.fullmatch(address) else None


def contact_fields(
    name: str | None, phones: Sequence[str], mail: str | None, shared: Collection[str]
) -> dict[str, str]:
    """Name, phone and e-mail to write. `shared`: contacts that a shop can't give to this customer alone."""
    wanted = {
        fields.NAME: " ".join((name or "").split())[:_LONGEST_NAME] or None,
        fields.PHONE: phone(phones),
        fields.EMAIL: email(mail),
    }
    return {field: value for field, value in wanted.items() if value is not None and value not in shared}


def metafields(customer_id: str, totals: Mapping[str, Any]) -> dict[str, str]:
    """Our metafields with what Nhanh tells; values that fit no type of theirs are left out."""
    wanted = {
        "customer_id": customer_id,
        "total_amount": _number(totals.get("total_amount")),
        "points": _number(totals.get("points"), whole=True),
        "level": _text(totals.get("level")),
    }
    return {fields.metafield(key): value for key, value in wanted.items() if value is not None}


def split_name(name: str) -> tuple[str, str]:
    """(first name, last name) of a Vietnamese name: the family name stands first, the rest is given."""
    family, _, given = name.partition(" ")
    return (given, family) if given else (family, "")


def _number(value: Any, *, whole: bool = False) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return str(int(number)) if whole else fields.plain_number(number)


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("name")
    return " ".join(str(value).split())[:_LONGEST_NAME] or None if value is not None else None
