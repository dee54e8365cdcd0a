"""What becomes of the due instants of a schedule, and the ids of their runs and jobs. Pure, without any chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

import msgspec

CatchUp = Literal["skip", "one", "all"]
MAX_CATCH_UP = 100
ON_TIME = timedelta(minutes=5)
"""An instant that is planned later than this was missed: a restart of the scheduler misses none."""
SHOWN_MISSED = 20
"""Missed instants of one turn that are recorded as skipped at most; the older ones leave no trace."""
MISSED = "missed: no scheduler ran, or it could not reach PostgreSQL"
_NAMESPACE = UUID("8c2b7d0e-6a0f-5b8e-9d51-0d6f6a3c1e27")


@dataclass(frozen=True, slots=True)
class Decision:
    """A due instant: it runs, or is skipped for a reason.

    in_turn: it waits for the run before it instead of being skipped while that one runs.
    """

    planned_at: datetime
    skipped: str | None = None
    in_turn: bool = False


def looked_back(catch_up: CatchUp, limit: int) -> int:
    """How many of the newest due instants `decide` needs."""
    return SHOWN_MISSED + (limit if catch_up == "all" else 1)


def decide(due: Sequence[datetime], now: datetime, catch_up: CatchUp, limit: int) -> list[Decision]:
    """What becomes of the due instants (ascending, the newest last) of a schedule.

    The newest one runs if it is on time. Of the missed ones none runs by `skip`; by `one` the newest, unless one runs
    on time; by `all` the newest `limit` of all that are due, one after the other.
    """
    on_time = bool(due) and now - due[-1] <= ON_TIME
    runs = {"skip": int(on_time), "one": 1, "all": max(limit, 1)}[catch_up]
    cut = max(0, len(due) - runs)
    late = len(due) - cut > 1 or not on_time
    skipped = [Decision(instant, MISSED) for instant in due[:cut]]
    return [*skipped[-SHOWN_MISSED:], *(Decision(instant, in_turn=late) for instant in due[cut:])]


def run_id(schedule_id: str, account: str, planned_at: datetime) -> str:
    """The id of a run, which is the chain id of its jobs."""
    return str(uuid5(_NAMESPACE, _text(schedule_id, account, planned_at)))


def planned_job_id(schedule_id: str, account: str, job_type: str, planned_at: datetime) -> str:
    """The id of the job that a schedule starts: uuid5 of the JSON list of these, the instant in UTC to the second."""
    return str(uuid5(_NAMESPACE, _text(schedule_id, account, job_type, planned_at)))


def jitter(schedule_id: str, account: str, planned_at: datetime, most: int) -> timedelta:
    """How long after its instant a run starts: 0 to `most` seconds, the same after every restart."""
    return timedelta(seconds=UUID(run_id(schedule_id, account, planned_at)).int % (most + 1))


def _text(*parts: str | datetime) -> str:
    return msgspec.json.encode(
        [f"{part.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(part, datetime) else part for part in parts]
    ).decode()
