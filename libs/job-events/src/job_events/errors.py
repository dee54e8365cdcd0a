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


class ContractError(Exception):
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


class JobFailed(ContractError):
    """Raised by a job's own code to end it as `failure` with a category that people can act on."""

    def __init__(self, category: Category, code: str, message: str) -> None:
        super().__init__(message)
        self.category: Category = category
        self.code = code
        self.message = message


class Interrupted(ContractError):
    """The job must stop at the next safe point; the worker loop decides how its row goes on."""


class JobCancelled(Interrupted):
    """Somebody asked for the end of the job."""


class JobPaused(Interrupted):
    """The job, its account or its queue was paused: the row goes back and waits."""


class WorkerStopping(Interrupted):
    """The process got SIGTERM: the row goes back at its checkpoint for another worker."""


class MakingRoom(Interrupted):
    """The row goes back at its checkpoint, because a job that may have crashed a process must run alone."""


class LeaseLost(Interrupted):
    """Another worker owns a later attempt; nothing more may be written by this one."""
