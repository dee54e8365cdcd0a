"""The error categories, and every error of the contract.

`Category` is the closed list for finished jobs and items. Dashboards and retry rules depend on it, so a new
member needs a new version of the event type.
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
    """Base of every error that a package of Jobtrail raises on purpose."""


class ContractError(JobtrailError):
    """Base of every error that this library raises on purpose."""


class InvalidEvent(ContractError):
    """Bytes that are not an event of the contract; `reason` fits into a dead letter."""

    def __init__(self, reason: str, job_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.job_id = job_id


class InvalidRequest(ContractError):
    """A request that cannot be run; `field` is the path of the invalid field, such as `params.dry_run`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
