"""Every error of the contract on one screen.

`Category` is the closed list that a finished job or an item may carry; dashboards and retry rules
depend on it, so a new member is a new contract version.
"""

from typing import Literal, get_args

Category = Literal[
    "RATE_LIMITED",
    "NETWORK_ERROR",
    "TIMEOUT",
    "INVALID_CREDENTIALS",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "CONFLICT",
    "VALIDATION_FAILED",
    "PLATFORM_ERROR",
    "CHANGE_TOO_LARGE",
    "INTERNAL",
    "CANCELLED",
]
CATEGORIES: frozenset[str] = frozenset(get_args(Category))


class JobtrailError(Exception):
    """Base of everything that Jobtrail's packages raise on purpose."""


class ContractError(JobtrailError):
    """Base of everything this library raises on purpose."""


class InvalidEvent(ContractError):
    """Bytes that are no event of the contract; `reason` fits into a dead letter."""

    def __init__(self, reason: str, job_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.job_id = job_id


class InvalidRequest(ContractError):
    """A job that cannot be run as asked; `field` names what is wrong (a path such as `params.dry_run`)."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
