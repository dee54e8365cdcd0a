"""Keyset cursors: where a page ended, as one opaque string."""

import base64
import binascii
from datetime import datetime
from typing import Any

import msgspec


def encode_cursor(values: list[Any]) -> str:
    """The cursor after a row whose key is `values` (texts, numbers, times)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode_cursor(cursor: str, types: tuple[Any, ...]) -> list[Any]:
    """Read a cursor whose key has these types; times have a zone.

    Raises:
        ValueError: the string is no cursor of this list.
    """
    try:
        raw = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        values = [msgspec.convert(value, kind) for value, kind in zip(raw, types, strict=True)]
        if any(isinstance(value, datetime) and value.tzinfo is None for value in values):
            raise ValueError("a time without a zone")
        return values
    except (binascii.Error, msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ValueError("not a cursor of this list") from error
