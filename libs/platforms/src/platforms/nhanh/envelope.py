"""Nhanh's answer to a call, v3: what it means, whatever the HTTP status says.

Errors come under HTTP 200; an unknown path answers an HTML page; `messages` may be a string, an array or an
object of field texts, and rate limits say `message` instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from platforms.errors import (
    InvalidCredentials,
    NotFound,
    NotJson,
    PermissionDenied,
    PlatformError,
    RateLimited,
    Rejected,
    Unavailable,
    ValidationFailed,
)
from platforms.http import finite_number, json_body, retry_after
from platforms.results import Json
from platforms.retry import MAX_RETRY_AFTER, bounded_retry_after

_DEFAULT_LOCK: Final = 10.0  # seconds; what Nhanh's own example shows

_ERRORS: Final[dict[str, type[PlatformError]]] = {
    "ERR_INVALID_APP_ID": InvalidCredentials,
    "ERR_INVALID_BUSINESS_ID": InvalidCredentials,
    "ERR_INVALID_ACCESS_TOKEN": InvalidCredentials,
    "ERR_INVALID_VERSION": InvalidCredentials,
    "ERR_BUSINESS_NOT_ENABLE_API": PermissionDenied,
    "ERR_403": PermissionDenied,
    "ERR_INVALID_DEPOT_ID": PermissionDenied,
    "ERR_INVALID_FORM_FIELDS": ValidationFailed,
    "ERR_INVALID_DATA": ValidationFailed,
}
_STATUSES: Final[dict[int, type[PlatformError]]] = {401: InvalidCredentials, 403: PermissionDenied}
_RATE_LIMITS: Final = {"ERR_429", "ERR_EXCEEDED_RATE_LIMIT"}


@dataclass(frozen=True)
class Success:
    """data: as it came; next: the cursor as it came, None = the end; warning: text of an optional warning."""

    data: Any
    next: Any | None
    warning: str


@dataclass(frozen=True)
class Failure:
    """error: to be raised, or retried if `passing`; pause: seconds that Nhanh asks to wait, None = it does not say."""

    error: PlatformError
    passing: bool = False
    pause: float | None = None


def read(response: httpx.Response, now: float, clean: Callable[[str], str]) -> Success | Failure:
    """Understand an answer. now: unix seconds, to turn `unlockedAt` and Retry-After into spans;
    clean: makes the platform's texts and codes fit for an error."""
    try:
        return _read(json_body(response), response, now, clean)
    except (NotJson, RecursionError):  # messages that nest without end
        return _not_json(response, now)


def _read(body: Any, response: httpx.Response, now: float, clean: Callable[[str], str]) -> Success | Failure:
    if isinstance(body, dict) and body.get("code") == 1:
        if body.get("data") is None:
            # An empty list says `data` too. Taken for one, this would say that the shop sells nothing any more.
            return _unreadable("Nhanh said success without any data")
        paginator = body.get("paginator")
        if paginator and not isinstance(paginator, dict):
            # Whether more pages follow is unknown, and that is not the end of the list.
            return _unreadable(f"expected an object as paginator, got {type(paginator).__name__}")
        cursor = paginator.get("next") if paginator else None
        return Success(body["data"], cursor, clean(as_text(body.get("warning"))))
    if isinstance(body, dict) and body.get("code") == 0:
        return _failure(body, response, now, clean)
    if response.status_code in {401, 403, 404, 429} or response.status_code >= 500:
        return _not_json(response, now)
    return Failure(Rejected("BAD_ENVELOPE", f"HTTP {response.status_code} without Nhanh's envelope"))


def _unreadable(text: str) -> Failure:
    return Failure(Unavailable("BAD_ENVELOPE", text, category="PLATFORM_ERROR"), passing=True)


def _failure(body: Json, response: httpx.Response, now: float, clean: Callable[[str], str]) -> Failure:
    code = clean(str(body.get("errorCode") or response.status_code))
    text = clean(as_text(body.get("messages")) or as_text(body.get("message")) or "no reason given")
    if code in _RATE_LIMITS or response.status_code == 429:
        pause = _lock_seconds(body.get("data"), now) or retry_after(response, now) or _DEFAULT_LOCK
        return Failure(RateLimited(code, text, until=now + pause), passing=True, pause=pause)
    if code in _ERRORS:
        return Failure(_ERRORS[code](code, text))
    if response.status_code >= 500:
        return Failure(Unavailable(code, text), passing=True, pause=retry_after(response, now))
    return Failure(Rejected(code, text))


def as_text(value: Any) -> str:
    """A message in any of Nhanh's forms as one line; empty for none."""
    if isinstance(value, dict):
        return "; ".join(
            text if text.startswith(str(name)) else f"{name}: {text}"
            for name, text in ((name, as_text(part)) for name, part in value.items())
        )
    if isinstance(value, list):
        return "; ".join(filter(None, map(as_text, value)))
    return "" if value is None else str(value)


def _not_json(response: httpx.Response, now: float) -> Failure:
    status = response.status_code
    pause = retry_after(response, now)
    if status == 429:
        pause = _DEFAULT_LOCK if pause is None else pause
        error = RateLimited("429", "too many requests", until=now + pause)
        return Failure(error, passing=True, pause=pause)
    if status == 404:
        return Failure(NotFound("404", f"Nhanh knows no path {response.request.url.path}"))
    if status in _STATUSES:
        return Failure(_STATUSES[status](str(status), "Nhanh refused the request"))
    if status >= 500 or status == 200:
        # Under 200 too: a maintenance page is no answer, and says nothing about the request.
        error = Unavailable(str(status), f"HTTP {status} with a body that is not JSON")
        return Failure(error, passing=True, pause=pause)
    return Failure(Rejected(str(status), f"HTTP {status} with a body that is not JSON"))


def _lock_seconds(data: Any, now: float) -> float | None:
    """How long the lock still lasts: until `unlockedAt`, or `lockedSeconds` if the clocks differ; None = unknown.

    Clocks disagree where that lies behind us, or further off than any lock.
    """
    fields: dict[str, Any] = data if isinstance(data, dict) else {}
    left = (finite_number(fields.get("unlockedAt")) or 0.0) - now
    if 0 < left <= MAX_RETRY_AFTER:
        return bounded_retry_after(left)
    seconds = finite_number(fields.get("lockedSeconds"))
    return bounded_retry_after(seconds) if seconds is not None and seconds > 0 else None
