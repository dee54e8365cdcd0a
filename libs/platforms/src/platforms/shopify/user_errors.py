"""Shopify's `userErrors`: which item they mean, and which of our errors they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from platforms.errors import (
    Conflict,
    NotFound,
    PermissionDenied,
    PlatformError,
    Rejected,
    ValidationFailed,
)
from platforms.results import Json

MakeError = Callable[[type[PlatformError], str, str], PlatformError]

_KINDS: Final[dict[str, type[PlatformError]]] = {
    "CHANGE_FROM_QUANTITY_STALE": Conflict,
    "COMPARE_QUANTITY_STALE": Conflict,
    "STALE_OBJECT": Conflict,
    "PRODUCT_DOES_NOT_EXIST": NotFound,
    "PRODUCT_VARIANT_DOES_NOT_EXIST": NotFound,
    "INVALID_INVENTORY_ITEM": NotFound,
    "INVALID_LOCATION": NotFound,
    "APP_NOT_AUTHORIZED": PermissionDenied,
    "INTERNAL_ERROR": Rejected,
    "PRODUCT_SUSPENDED": Rejected,
    "SUBSCRIPTION_VIOLATION": Rejected,
}


@dataclass(frozen=True)
class UserError:
    """index: position of the item meant, None = none is named; batch_wide: it is about the call itself."""

    error: PlatformError
    index: int | None
    batch_wide: bool


def read(payload: Json, list_name: str, make: MakeError) -> list[UserError]:
    """The errors of a mutation's payload. list_name: the input list whose items the field paths count."""
    return [_one(raw, list_name, make) for raw in payload.get("userErrors") or ()]


def _one(raw: Json, list_name: str, make: MakeError) -> UserError:
    path = [str(step) for step in raw.get("field") or ()]
    message = str(raw.get("message") or "no reason given")
    code = str(raw.get("code") or _code_of(message))
    where = ".".join(path)
    error = make(_kind(code, message), code, f"{where}: {message}" if where else message)
    index = _index(raw.get("elementIndex"), path)
    return UserError(error, index, batch_wide=index is None and bool(path) and list_name not in path)


def _index(element_index: Any, path: list[str]) -> int | None:
    if isinstance(element_index, int):
        return element_index
    return next((int(step) for step in path if step.isdecimal()), None)


def _code_of(message: str) -> str:
    """customerUpdate's errors carry no code: name the ones that people meet."""
    text = message.lower()
    if "already been taken" in text:
        return "TAKEN"
    if "does not exist" in text or "not found" in text or "can't be found" in text:
        return "DOES_NOT_EXIST"
    return "USER_ERROR"


def _kind(code: str, message: str) -> type[PlatformError]:
    if code in _KINDS:
        return _KINDS[code]
    return NotFound if _code_of(message) == "DOES_NOT_EXIST" else ValidationFailed
