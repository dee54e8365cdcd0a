"""The retention horizon of finished jobs: which rows are forgotten, and which events come too late. Pure.

A horizon is a midnight in UTC. Behind it, a finished or deleted job is forgotten: it has ended, and no time of its row
is as young as the horizon. A job that has not ended stays, however old it is. So the rows behind a horizon are a
function of the fold, and the table is one of the events and of a horizon, which is stored (`job_horizon`).

A row that was deleted cannot refuse a late copy of an old event, so the events are judged instead: an event comes
*late* if its own time is behind the horizon that is in force at its LogAppendTime. That is a function of the event and
of the stored rules: the same in a projector and in a rebuild, however often and in whatever order it is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

NEVER = datetime.min.replace(tzinfo=UTC)
CLOCK_SKEW = timedelta(hours=1)  # between the clocks of a tracker and of the brokers
NOTICE = timedelta(days=2)  # from the midnight before a rule is stored to the one from which it is in force


class HorizonRule(NamedTuple):
    """`days` that ended jobs are kept, in force for events appended from `in_force_from` on.

    `floor`: the latest horizon that the former rules can have reached.
    """

    in_force_from: datetime
    days: int
    floor: datetime

    def late_before(self, appended_at: datetime) -> datetime:
        """An event appended then is late if its own time is before this."""
        return max(appended_at - timedelta(days=self.days), self.floor)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Which events change no row. `rules` are sorted by time.

    `kept_before` and `kept_jobs` describe a pruned archive: of the events with a time before `kept_before` it holds
    only those of `kept_jobs`, and copies of the others that lie elsewhere must not bring half a job back.
    """

    rules: tuple[HorizonRule, ...] = ()
    kept_before: datetime = NEVER
    kept_jobs: frozenset[str] = field(default_factory=frozenset[str])

    def possible_before(self, newest: datetime) -> datetime:
        """No event that was appended up to `newest` is late with a time from this on."""
        return max(self._late_before(newest), self.kept_before)

    def is_late(self, job_id: str, at: datetime, appended_at: datetime) -> bool:
        """Whether the event of this job with the time `at` changes no row."""
        return at < self._late_before(appended_at) or (at < self.kept_before and job_id not in self.kept_jobs)

    def _late_before(self, appended_at: datetime) -> datetime:
        for rule in reversed(self.rules):
            if rule.in_force_from <= appended_at:
                return rule.late_before(appended_at)
        return NEVER


def midnight(moment: datetime) -> datetime:
    """The midnight in UTC at or before a moment."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def rule_in_force(rules: Iterable[HorizonRule], now: datetime) -> HorizonRule | None:
    """The last rule that began at or before `now`."""
    return max((rule for rule in rules if rule.in_force_from <= now), default=None)


def next_rule(rules: Iterable[HorizonRule], days: int, now: datetime) -> HorizonRule | None:
    """The rule to store when ended jobs shall be kept for `days`; None if the last one says so already."""
    known = sorted(rules)
    if known and known[-1].days == days:
        return None
    begins = midnight(now) + NOTICE
    former = [rule for rule in known if rule.in_force_from < begins]
    return HorizonRule(begins, days, former[-1].late_before(begins) if former else NEVER)


def reached_horizon(rule: HorizonRule, now: datetime) -> tuple[datetime, datetime]:
    """The horizon at `now`, and up to which LogAppendTime the log must have been read before rows are deleted for it.

    Any event that is appended later and has a time before the horizon is late.
    """
    today = midnight(now - CLOCK_SKEW)
    horizon = max(today - timedelta(days=rule.days), rule.floor)
    return horizon, max(today, rule.in_force_from)
