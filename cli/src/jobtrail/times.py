"""Moments as people type them: an ISO date or time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from jobtrail.errors import UserError

_UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
HELP = "ISO date or time (of this machine, unless it names another zone), or how long ago: 90min, 2h, 3d, 1w"


def moment(text: str, option: str, now: datetime) -> datetime:
    """The moment in UTC.

    Raises:
        Refused: it is none, or lies outside the calendar.
    """
    ago = re.fullmatch(r"(\d{1,9})\s*(s|min|m|h|d|w)", text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(f"{option} is {text!r}; it takes an {HELP}") from None


def span(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Both ends of a span of time, if they were given.

    Raises:
        Refused: one is no moment, or nothing lies between them.
    """
    first = moment(since, "--since", now) if since is not None else None
    last = moment(until, "--until", now) if until is not None else None
    if first and last and first >= last:
        raise UserError(f"Nothing lies between --since {since} and --until {until}")
    return first, last
