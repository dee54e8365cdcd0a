"""Reading single fields of a platform's JSON: what is blank becomes None, what is wrong names its path.

Every function raises MalformedRecord with the path as the platform spells it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from puller.domain.records import MalformedRecord

MAX_DIGITS = 24
"""No price or quantity has more digits; text such as 1e999999 must not reach the database."""
MAX_KEY = 255
"""PostgreSQL's indexes refuse rows beyond some 2,700 bytes; no shop has a SKU, barcode or phone of that length."""
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


def text(value: Any, path: str, longest: int | None = None) -> str | None:
    """Text without blanks around it; None where nothing is left. Numbers are taken as written (a code of 123)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise MalformedRecord(path, f"expected text, got {_kind(value)}")
    found = str(value).strip()
    if "\0" in found or not _encodable(found):
        raise MalformedRecord(path, "holds a character that cannot be stored")
    if longest is not None and len(found) > longest:
        raise MalformedRecord(path, f"is longer than {longest} characters")
    return found or None


def key_text(value: Any, path: str) -> str | None:
    """Text that is looked up by: a SKU, a barcode, a phone."""
    return text(value, path, MAX_KEY)


def required_text(value: Any, path: str) -> str:
    """Text that must not be blank."""
    found = text(value, path)
    if found is None:
        raise MalformedRecord(path, "is missing")
    return found


def identifier(value: Any, path: str) -> str:
    """A platform's id as text. Nhanh writes "none" as a negative number; 0 is an id like any other."""
    found = None if isinstance(value, float) else text(value, path)
    if found is None:
        raise MalformedRecord(path, "is missing or no id")
    if len(found) > 128 or (found.lstrip("-").isdecimal() and int(found) < 0):
        raise MalformedRecord(path, f"{found[:40]!r} is no id")
    return found


def number(value: Any, path: str) -> Decimal | None:
    """A number, also where it comes as text; None where it is blank. 120000.0 and '120000.00' are the same."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise MalformedRecord(path, f"expected a number, got {_kind(value)}")
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise MalformedRecord(path, f"{str(value)[:40]!r} is no number") from None
    if not found.is_finite() or abs(found.adjusted()) > MAX_DIGITS or len(found.as_tuple().digits) > MAX_DIGITS:
        raise MalformedRecord(path, f"{str(value)[:40]!r} is no number that a shop can mean")
    return found.quantize(Decimal(1)) if found == found.to_integral_value() else found.normalize()


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


def _encodable(found: str) -> bool:
    try:
        found.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON lets through
        return False
    return True


def _kind(value: Any) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return names.get(type(value), "a number")
