"""Reading single fields of a platform's JSON: what is blank becomes None, what is wrong names its path.

Every function raises MalformedRecord with the path as the platform spells it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from platforms.errors import MalformedRecord, NotANumber
from platforms.values import code_text, decimal_of, normal_text

MAX_KEY = 255
"""PostgreSQL's indexes refuse rows beyond some 2,700 bytes; no shop has a SKU, barcode or phone of that length."""
MAX_ID = 128
_LATEST = datetime(3000, 1, 1, tzinfo=UTC).timestamp()


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """An object. Null, and the [] that PHP writes for an empty object, are an empty one."""
    if value is None or value == []:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedRecord(path, f"expected an object, got {_kind(value)}")
    return value


def sequence(value: Any, path: str) -> list[Any]:
    """A list. Null, and the {} that PHP writes for an empty list, are an empty one."""
    if value is None or value == {}:
        return []
    if not isinstance(value, list):
        raise MalformedRecord(path, f"expected a list, got {_kind(value)}")
    return value


def text(value: Any, path: str) -> str | None:
    """Text in one normal form, without blanks around it; None where nothing is left. Numbers are taken as written
    (a name of 123)."""
    return _read(value, path, normal_text)


def key_text(value: Any, path: str, longest: int = MAX_KEY) -> str | None:
    """Text that is looked up and compared: a SKU, a barcode, a phone, an e-mail. No invisible character stays in it."""
    return _read(value, path, code_text, longest)


def required_text(value: Any, path: str) -> str:
    """Text that must not be blank."""
    found = text(value, path)
    if found is None:
        raise MalformedRecord(path, "is missing")
    return found


def identifier(value: Any, path: str) -> str:
    """A platform's id as text. Nhanh writes "none" as a negative number; 0 is an id like any other."""
    found = None if isinstance(value, float | Decimal) else key_text(value, path)
    if found is None:
        raise MalformedRecord(path, "is missing or no id")
    if len(found) > MAX_ID or (found.lstrip("-").isdecimal() and int(found) < 0):
        raise MalformedRecord(path, f"{found[:40]!r} is no id")
    return found


def number(value: Any, path: str) -> Decimal | None:
    """A number, also where it comes as text; None where it is blank. 120000.0 and '120000.00' are the same.

    Text that can mean two numbers (`1.250`) is refused, see `platforms.values.decimal_of`.
    """
    if value is None or (isinstance(value, str) and not normal_text(value)):
        return None
    try:
        return decimal_of(value)
    except NotANumber as error:
        raise MalformedRecord(path, str(error)) from None


def price(value: Any, path: str) -> Decimal | None:
    """A number that is not below zero."""
    found = number(value, path)
    if found is not None and found < 0:
        raise MalformedRecord(path, f"{found} is below zero")
    return found


def integer(value: Any, path: str) -> int | None:
    """A whole number, also where it comes as text or as 2.0."""
    found = number(value, path)
    if found is None:
        return None
    if found != found.to_integral_value() or abs(found) > 2**53:
        raise MalformedRecord(path, f"{found} is no whole number")
    return int(found)


def unix_time(value: Any, path: str) -> datetime | None:
    """Seconds since 1970 as a time in UTC; 0 means none."""
    seconds = number(value, path)
    if not seconds:
        return None
    if not 0 < seconds < _LATEST:
        raise MalformedRecord(path, f"{seconds} is no time in unix seconds")
    return datetime.fromtimestamp(float(seconds), UTC)


def iso_time(value: Any, path: str) -> datetime | None:
    """An ISO 8601 time with its zone, in UTC."""
    found = text(value, path)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found)
    except ValueError:
        raise MalformedRecord(path, f"{found[:40]!r} is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise MalformedRecord(path, f"{found[:40]!r} names no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise MalformedRecord(path, f"{found[:40]!r} is out of range") from None


def _read(value: Any, path: str, clean: Callable[[str], str], longest: int | None = None) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise MalformedRecord(path, f"expected text, got {_kind(value)}")
    try:
        found = clean(str(value))
    except ValueError:  # a whole number of thousands of digits
        raise MalformedRecord(path, "is a number too long for text") from None
    if "\0" in found or not _encodable(found):
        raise MalformedRecord(path, "holds a character that cannot be stored")
    if longest is not None and len(found) > longest:
        raise MalformedRecord(path, f"is longer than {longest} characters")
    return found or None


def _encodable(found: str) -> bool:
    try:
        found.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON lets through
        return False
    return True


def _kind(value: Any) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return names.get(type(value), "a number")
