"""When a schedule runs: a cron expression or an interval in a time zone. Pure: the present time is an argument."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from job_events.errors import InvalidRequest

DEFAULT_ZONE = "Asia/Ho_Chi_Minh"
LONGEST_CRON = 200  # characters
SHORTEST_INTERVAL, LONGEST_INTERVAL = 60, 366 * 86_400  # seconds
HORIZON = timedelta(days=3653)
"""A run later than this after a time is none: an expression without a run in so long is refused as never."""

MOST_LOOKED_AT = 20_000

_FIELDS = (
    "five fields: minute 0-59, hour 0-23, day of month 1-31, month 1-12 or JAN-DEC, weekday 0-7 or SUN-SAT (0 and 7 "
    "are Sunday); each a value, a list (1,15), a range (1-5), a step (*/15) or *; also L, LW, 5L and 1#2 for days"
)
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_FIRST_WINDOW = timedelta(hours=12)


@lru_cache(1)
def zone_names() -> frozenset[str]:
    """The IANA names that are known, old ones included.

    Those of the package tzdata and never those of the machine: two machines must plan the same times.
    """
    return frozenset((files("tzdata") / "zones").read_text("utf-8").split())


@lru_cache(1024)
def time_zone(name: str) -> ZoneInfo:
    """The time zone of this name.

    Raises:
        InvalidRequest: no IANA zone has this name.
    """
    if name not in zone_names():
        reason = f"{name[:64]!r} is not a time zone: it takes an IANA name such as {DEFAULT_ZONE} or America/New_York"
        raise InvalidRequest("timezone", reason)
    with (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@dataclass(frozen=True, slots=True)
class Timing:
    """The planned instants of a schedule: by `cron`, or each `every_seconds` after `anchor`; one of the two is None.

    A daily time that a clock change skips runs at the next minute that exists; one that it repeats runs once.
    """

    cron: str | None
    every_seconds: int | None
    timezone: str
    anchor: datetime

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The instants later than `moment`, in UTC, ascending, up to HORIZON behind it."""
        end = moment + HORIZON
        for instant in self._cron_after(moment) if self.cron is not None else self._interval_after(moment):
            if instant > end:
                return
            yield instant

    def next_after(self, moment: datetime) -> datetime | None:
        """The first instant later than `moment`; None if there is none within HORIZON."""
        return next(self.after(moment), None)

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """The first `count` instants later than `moment`."""
        return list(islice(self.after(moment), count))

    def newest(self, first: datetime, until: datetime, count: int) -> list[datetime]:
        """The newest `count` of the instants from `first`, which is one, up to `until`, ascending.

        The search begins near `until` and looks at MOST_LOOKED_AT instants a step, so that a schedule that was not
        looked at for a year is no work for a year.
        """
        too_short, too_long, window = timedelta(), None, _FIRST_WINDOW
        while True:
            start = max(first, until - window)
            found = self._between(start, until)
            if found is None:
                too_long = window
            elif len(found) >= count or start == first:
                return ([first, *found] if start == first else found)[-count:]
            else:
                too_short = window
            window = 2 * window if too_long is None else (too_short + too_long) / 2

    def _between(self, start: datetime, until: datetime) -> list[datetime] | None:
        """The instants later than `start`, up to `until`; None if there are more than MOST_LOOKED_AT."""
        found = list(islice(takewhile(lambda instant: instant <= until, self.after(start)), MOST_LOOKED_AT + 1))
        return None if len(found) > MOST_LOOKED_AT else found

    def local(self, instants: Iterable[datetime]) -> list[datetime]:
        """The same instants in the time zone of the schedule."""
        zone = time_zone(self.timezone)
        return [instant.astimezone(zone) for instant in instants]

    def words(self) -> str:
        """The times in words: `At 00:30 on Monday, Asia/Ho_Chi_Minh`."""
        if self.cron is None:
            return _interval_words(self.every_seconds or 0)
        said = CronSim(self.cron, self.anchor).explain()
        _, _, day, _, weekday = self.cron.split()
        either = "" if "*" in {day, weekday} else " (a day needs to fit one of the two only)"
        return f"{said}{either}, {self.timezone}"

    def _interval_after(self, moment: datetime) -> Iterator[datetime]:
        step = timedelta(seconds=self.every_seconds or 0)
        instant = self.anchor + max(1, (moment - self.anchor) // step + 1) * step
        while True:
            yield instant
            instant += step

    def _cron_after(self, moment: datetime) -> Iterator[datetime]:
        last = moment
        for local in CronSim(self.cron or "", moment.astimezone(time_zone(self.timezone))):
            # In the hour that a clock change repeats, the library may begin with the first of the two, which is over.
            instant = local.astimezone(UTC)
            if instant > last:
                yield instant
                last = instant


def read_timing(cron: str | None, every_seconds: int | None, timezone: str, now: datetime) -> Timing:
    """Check what a person gives; an interval counts from the second of `now`.

    Raises:
        InvalidRequest: neither or both of cron and every_seconds, a value out of range, an unknown zone, a cron
            expression that is none, that never fits, or that crons read in different ways.
    """
    if (cron is None) == (every_seconds is None):
        raise InvalidRequest(
            "cron", "give either cron or every_seconds, not both" if cron else "or every_seconds is needed"
        )
    time_zone(timezone)
    anchor = now.astimezone(UTC).replace(microsecond=0)
    if every_seconds is not None:
        if not SHORTEST_INTERVAL <= every_seconds <= LONGEST_INTERVAL:
            reason = f"is {every_seconds:,}; it takes {SHORTEST_INTERVAL} to {LONGEST_INTERVAL:,} (366 days)"
            raise InvalidRequest("every_seconds", reason)
        return Timing(None, every_seconds, timezone, anchor)
    timing = Timing(_checked_cron(cron or "", anchor), None, timezone, anchor)
    if timing.next_after(now) is None:
        raise _never(timing.cron or "")
    return timing


def _checked_cron(cron: str, now: datetime) -> str:
    """The expression with single spaces."""
    if len(cron) > LONGEST_CRON:
        raise InvalidRequest("cron", f"has {len(cron):,} characters; at most {LONGEST_CRON} are possible")
    fields = cron.split()
    if len(fields) != 5 or not cron.isascii():
        raise InvalidRequest("cron", f"{cron!r} is no cron expression: it takes {_FIELDS}")
    joined = " ".join(fields).upper()
    _, _, day, _, weekday = fields
    if "*" not in {day, weekday} and (odd := next((one for one in (day, weekday) if one.startswith("*")), None)):
        # POSIX knows no steps; Debian's cron reads `*/2` beside a weekday as "and", others read it as "or".
        reason = f"{odd!r} beside another day field means different days in different crons: write a range or a list"
        raise InvalidRequest("cron", f"{reason}, such as 1-31/2; a day then needs to fit one of the two fields only")
    try:
        CronSim(joined, now).explain()
    except (CronSimError, ValueError, AssertionError) as error:
        if not _is_cron(joined, now):
            raise InvalidRequest("cron", f"{cron!r} is no cron expression ({error}): it takes {_FIELDS}") from None
        raise _never(joined) from None
    return joined


def _is_cron(cron: str, now: datetime) -> bool:
    """Whether it would be an expression if all months had 31 days."""
    minute, hour, day, month, weekday = cron.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", now)
        CronSim(f"{minute} {hour} * {month} {weekday}", now)
    except (CronSimError, ValueError, AssertionError):
        return False
    return True


def _never(cron: str) -> InvalidRequest:
    return InvalidRequest("cron", f"{cron!r} never fits: no such day comes within {HORIZON.days // 365} years")


def _interval_words(seconds: int) -> str:
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"Every {unit}" if count == 1 else f"Every {count:,} {unit}s"
