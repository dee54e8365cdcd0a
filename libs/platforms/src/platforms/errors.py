"""Every error that leaves this package, on one screen.

`category` is one of the closed list of the event contract; `message` holds no secret and fits an event.
"""

from typing import ClassVar

from job_events.errors import Category, JobtrailError


class PlatformsError(JobtrailError):
    """Base of everything that this package raises on purpose."""


class PlatformError(PlatformsError):
    """A platform did not do what was asked.

    code: the platform's own code, or the HTTP status. retry_after: seconds after which the platform itself wants to be
    called again; None where it named no time.
    """

    default_category: ClassVar[Category] = "PLATFORM_ERROR"

    def __init__(self, code: str, message: str, *, category: Category | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.category: Category = category or self.default_category
        self.code = code
        self.message = message
        self.retry_after: float | None = None


class InvalidCredentials(PlatformError):
    """The token is wrong, expired or of another version: stop, ask for a new authorisation."""

    default_category = "INVALID_CREDENTIALS"


class PermissionDenied(PlatformError):
    """The token is right but may not do this (missing scope, depot not granted, API switched off)."""

    default_category = "PERMISSION_DENIED"


class NotFound(PlatformError):
    """The shop, path or record does not exist."""

    default_category = "NOT_FOUND"


class Conflict(PlatformError):
    """The value on the platform is not the one the caller had seen; nothing was written."""

    default_category = "CONFLICT"


class ValidationFailed(PlatformError):
    """What we sent can never be accepted as it is; repeating is useless."""

    default_category = "VALIDATION_FAILED"


class RateLimited(PlatformError):
    """Still over the limit after the client's retry timeout; `until`: unix seconds of the next useful call."""

    default_category = "RATE_LIMITED"

    def __init__(self, code: str, message: str, *, until: float) -> None:
        super().__init__(code, message)
        self.until = until


class Unavailable(PlatformError):
    """A temporary failure that outlasted the client's retry timeout: a network error, a timeout, a 5xx, an unreadable
    answer.

    NETWORK_ERROR or TIMEOUT where nothing usable came, PLATFORM_ERROR where the platform's own answer is wrong.
    sent: False where the request cannot have reached the platform.
    """

    default_category = "NETWORK_ERROR"

    def __init__(self, code: str, message: str, *, category: Category | None = None, sent: bool = True) -> None:
        super().__init__(code, message, category=category)
        self.sent = sent


class Rejected(PlatformError):
    """The platform refused for a reason of its own."""


class AccountError(PlatformsError):
    """Base of what the account store refuses."""


class UnknownAccount(AccountError):
    """No such account, or the account has no connection to that platform."""


class UnknownChannel(AccountError):
    """No platform of this name is written from the hub."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"{name[:100]!r} is no channel; known are {', '.join(known) or 'none'}")


class SettingsUnreadable(AccountError, ValidationFailed):
    """Stored settings hold a value that this version does not know; it ends a job as a refusal does."""


class InvalidAccount(AccountError):
    """A name, address, credential or setting that cannot be stored; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class CredentialsUnreadable(AccountError):
    """Stored credentials do not open with this secret key."""


class NotJson(PlatformsError, ValueError):
    """The body of an answer is no JSON, or nests deeper than any record."""


class NotANumber(PlatformsError, ValueError):
    """The value is no number, or one that can be read in two ways; the message repeats its raw text."""


class MalformedRecord(PlatformsError, ValueError):
    """A platform's item that cannot be read; `field` is the path to what is wrong in the platform's own JSON."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
