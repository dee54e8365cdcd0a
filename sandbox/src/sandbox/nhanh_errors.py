"""Nhanh's errors and the content of a successful answer."""

from typing import Any

import msgspec


class NhanhRefusal(Exception):
    """An error in the platform's own code. `messages` may be text, a list or an object field → text."""

    def __init__(self, code: str, messages: str | list[str] | dict[str, str]) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages


class Reply(msgspec.Struct, kw_only=True):
    """The data of a successful call; `next` is sent when the call is paged, null at the end."""

    data: Any
    paged: bool = False
    next: dict[str, str] | None = None
    warning: dict[str, str] | None = None


def refusal(error: NhanhRefusal) -> dict[str, Any]:
    """The envelope of an error."""
    return {"code": 0, "errorCode": error.code, "messages": error.messages}


def invalid_field(field: str, text: str) -> NhanhRefusal:
    """ERR_INVALID_FORM_FIELDS for one field."""
    return NhanhRefusal("ERR_INVALID_FORM_FIELDS", {field: text})
