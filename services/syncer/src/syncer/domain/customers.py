"""The values that a channel's customer should hold, from the hub's. An empty field of the hub clears none."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from platforms import field_names
from platforms.person_names import same_person
from platforms.placeholders import is_placeholder_email
from platforms.spelling import tidy
from syncer.domain import fields
from syncer.domain.names import name_to_write
from syncer.domain.phones import present_form
from syncer.domain.plan import Change

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_VIETNAM = re.compile(r"\+84(?:[35789]\d{8}|2\d{8,9})")
_SAME_DIGITS = re.compile(r"(\d)\1{5}$")
_LONGEST_TEXT = 255
_SPOKEN: Final = {field_names.NAME: "name", field_names.PHONE: "phone", field_names.EMAIL: "e-mail"}


@dataclass(frozen=True, slots=True)
class Contacts:
    """Name, phone numbers and e-mail of a customer, as one platform has them."""

    name: str | None = None
    phones: Sequence[str] = ()
    email: str | None = None

    def unique(self) -> set[str]:
        """What only one customer of a shop may have: numbers in today's form, the address in lower case."""
        address = email(self.email)
        return {*map(present_form, self.phones), *([] if address is None else [address])}


def phone(phones: Sequence[str], held: str | None = None, taken: Collection[str] = ()) -> str | None:
    """The number that the shop's customer should have; None: whatever there is stays.

    A number in the shop (`held`) that is any of Nhanh's stays. Else the first that a shop would take: E.164, and in
    Vietnam a mobile or landline of today's numbering. A filler such as 0900000000 is no number.

    taken: numbers in today's form that the shop can't give to this customer alone.
    """
    present = None if held is None else present_form(held)
    if present is not None and present in map(present_form, phones):
        return present if _is_number(present) and present not in taken else None
    return next((one for one in phones if _is_number(one) and present_form(one) not in taken), None)


def _is_number(text: str) -> bool:
    form = _VIETNAM if text.startswith("+84") else _E164
    return form.fullmatch(text) is not None and _SAME_DIGITS.search(text) is None


def email(text: str | None) -> str | None:
    """The address in lower case, None if it is no address or a placeholder."""
    address = tidy(text).lower()
    return address if _EMAIL.fullmatch(address) and not is_placeholder_email(address) else None


def contact_fields(
    hub: Contacts, shop: Contacts, taken: Collection[str] = (), *, with_email: bool = False
) -> dict[str, str]:
    """Name, phone and, if asked for, e-mail to write. A field that is left out stays as the shop has it.

    shop: what the shop holds. taken: contacts (numbers in today's form, addresses in lower case) that the shop can't
    give to this customer alone. with_email: the e-mail too, which is the customer's login.
    """
    address = email(hub.email) if with_email else None
    wanted = {
        field_names.NAME: name_to_write(hub.name, shop.name),
        field_names.PHONE: phone(hub.phones, next(iter(shop.phones), None), taken),
        field_names.EMAIL: None if address in taken else address,
    }
    return {field: value for field, value in wanted.items() if value is not None}


def person_note(changes: Iterable[Change]) -> str | None:
    """Which of a customer's changes exchange one person's value for another's: "name and e-mail differ".

    A value that is filled in, or the same name in another form, is no such change.
    """
    fields_that_differ = {change.field for change in changes if change.before and _differs(change)}
    differing = [spoken for field, spoken in _SPOKEN.items() if field in fields_that_differ]
    if not differing:
        return None
    if len(differing) == 1:
        return f"{differing[0]} differs"
    return f"{', '.join(differing[:-1])} and {differing[-1]} differ"


def _differs(change: Change) -> bool:
    if change.field == field_names.NAME:
        return not same_person(change.before, change.after)
    return fields.key_of(change.field, change.before) != fields.key_of(change.field, change.after)


def metafields(customer_id: str, totals: Mapping[str, Any]) -> dict[str, str]:
    """The metafields with the hub's values; a value that does not fit its field's type is left out."""
    wanted = {
        "customer_id": customer_id,
        "total_amount": _number(totals.get("total_amount")),
        "points": _number(totals.get("points"), whole=True),
        "level": _text(totals.get("level")),
    }
    return {field_names.metafield(key): value for key, value in wanted.items() if value is not None}


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
    return " ".join(str(value).split())[:_LONGEST_TEXT] or None if value is not None else None
