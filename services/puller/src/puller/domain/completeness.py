"""Whether a walk over a platform's list was whole, and how many records may be gone at once."""

from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

_PLANS: Final = UUID("5a0e6a0c-8f0b-4f5e-9d35-0c8a3f1d7b21")
_IDLE_PAGES: Final = 100
"""A list may repeat what it has listed, because records move while it is read, and some of its pages may be empty."""


def plan_token(job_id: str) -> str:
    """The token of the plan that a stopped job hands out: the same one in each of its attempts."""
    return str(uuid5(_PLANS, job_id))


def too_many_delisted(missing: int, known: int, share: float, floor: int) -> bool:
    """Whether `missing` of `known` records are more than the account lets a pull mark as gone unasked."""
    return missing > floor and missing > Decimal(str(share)) * known


def is_endless(pages: int, idle: int) -> bool:
    """Whether a walk of so many pages, of which the last `idle` brought no new record, has to be given up.

    A list that is read twice as a whole is not: all of it may have moved behind the walk once.
    """
    return idle > _IDLE_PAGES + (pages - idle)
