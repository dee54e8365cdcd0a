"""What decides whether and when a job may run, as the columns of its row: key, limit and turn. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from job_events.job_types import JOB_TYPES, Policy, concurrency_key

PRIORITIES = {"low": 0, "normal": 1, "high": 2, "urgent": 3}
DEFAULT_POLICY = Policy()
"""Also that of a job type which this version does not know: only the end of such a job is written here."""


def policy_of(type_name: str) -> Policy:
    """The execution policy of a job type."""
    known = JOB_TYPES.get(type_name)
    return DEFAULT_POLICY if known is None else known.policy


class EligibilityColumns(TypedDict):
    """The columns; `ageing` turns the time of the request into the row's turn."""

    concurrency_key: str
    concurrency_limit: int
    ageing: timedelta


@dataclass(frozen=True, slots=True)
class Eligibility:
    """At most `limit` jobs of one account with the same `key` run at a time."""

    key: str
    limit: int

    @classmethod
    def of(cls, type_name: str, params: object) -> "Eligibility":
        return cls(concurrency_key(type_name, params), policy_of(type_name).limit)

    def columns(self, type_name: str, priority: int) -> EligibilityColumns:
        """The columns of a row of this priority."""
        return {
            "concurrency_key": self.key,
            "concurrency_limit": self.limit,
            "ageing": time_to_urgent(type_name, priority),
        }


def time_to_urgent(type_name: str, priority: int) -> timedelta:
    """How long a job of this priority waits until it counts as urgent.

    A job rises by one priority each `ageing`, so all jobs are claimed in the order of the moments at which they count
    as urgent. That order needs no clock, and a job that waits has only finitely many before it.
    """
    return (max(PRIORITIES.values()) - priority) * policy_of(type_name).ageing
