"""Keyset cursors: where a page ended, as one opaque string that is bound to its list."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec


def list_mark(*parts: object) -> str:
    """The mark of a list with its filters; a cursor with another mark is refused."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:8]


def encode_cursor(values: Sequence[Any], mark: str) -> str:
    """The cursor after a row whose key is `values` (texts, numbers, times), of the list with this mark."""
    return base64.urlsafe_b64encode(msgspec.json.encode([*values, mark])).decode().rstrip("=")


def decode_cursor(cursor: str, types: tuple[Any, ...], mark: str) -> list[Any]:
    """Read a cursor whose key has these types; times have a zone.

    Raises:
        ValueError: the string is no cursor of this list.
    """
    try:
        raw = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        *values, of_list = [msgspec.convert(value, kind) for value, kind in zip(raw, (*types, str), strict=True)]
        if any(isinstance(value, datetime) and value.tzinfo is None for value in values):
            raise ValueError("a time without a zone")
    except (binascii.Error, msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ValueError("not a cursor of this list") from error
    if of_list != mark:
        raise ValueError("a cursor of another list: it goes on with the same list and the same filters only")
    return values
