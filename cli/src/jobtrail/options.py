"""Values of options as people type them: moments, spans of time, JSON objects."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from jobtrail.errors import UserError

_UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
HELP = "ISO date or time (local time without a time zone), or how long ago: 90min, 2h, 3d, 1w"


def moment(text: str, option: str, now: datetime) -> datetime:
    """The moment in UTC.

    Raises:
        UserError: it is not a moment, or lies outside the calendar.
    """
    ago = re.fullmatch(r"(\d{1,9})\s*(s|min|m|h|d|w)", text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(f"{option} is {text!r}; it takes an {HELP}") from None


def span(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Both ends of a span of time; None for an end that is not given.

    Raises:
        UserError: an end is not a moment, or the span is empty.
    """
    first = moment(since, "--since", now) if since is not None else None
    last = moment(until, "--until", now) if until is not None else None
    if first and last and first >= last:
        raise UserError(f"--since {since} must lie before --until {until}")
    return first, last


def json_object(text: str, option: str) -> dict[str, Any]:
    """The object in the text of an option.

    Strict: Python's own parser accepts NaN and lone surrogates, which a request cannot hold.

    Raises:
        UserError: it is not JSON, not an object, or nests too deeply.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise UserError(f"{option} must be a JSON object: {error}") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{option} is not JSON: {error}") from None
    except UnicodeEncodeError:
        raise UserError(f"{option} is not JSON: it holds bytes that are not UTF-8") from None
    except RecursionError:
        raise UserError(f"{option} nests too deeply") from None


def named_values(texts: list[str], option: str) -> dict[str, Any]:
    """The values of an option NAME=VALUE that may be repeated: each JSON, or else the text itself.

    Raises:
        UserError: one has no name or is given twice, or holds no text.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"{option} is {text!r}; it takes NAME=VALUE, such as dry_run=true")
        if name in values:
            raise UserError(f"{option} {name} is given twice")
        try:
            values[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            values[name] = value
        except (UnicodeEncodeError, RecursionError) as error:
            raise UserError(f"{option} {name} is not a value: {error}") from None
    return values
