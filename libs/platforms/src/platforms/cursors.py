"""Cursors of the platforms' lists: stored unchanged, and checked for cycles."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from platforms.errors import Rejected

_EXACT: Final = "exactJson"
_encoder = msgspec.json.Encoder(decimal_format="number")


class CursorGuard:
    """Remembers the cursors of one list. Reading a page again is allowed; a `next` that leads back is not.

    code, text: of the error, in the platform's words.
    """

    def __init__(self, code: str, text: str) -> None:
        self._code = code
        self._text = text
        self._positions: dict[bytes, int] = {}

    def check(self, asked: Any | None, answered: Any | None) -> None:
        """Raise Rejected if `answered` (the next cursor) is `asked`, or one that came before it."""
        if asked is None:
            self._positions.clear()
            here = 0
        else:
            here = self._positions.setdefault(_key(asked), 0)
        if answered is None:
            return
        ahead = _key(answered)
        if self._positions.get(ahead, here + 1) <= here:
            raise Rejected(self._code, self._text)
        self._positions[ahead] = here + 1


def portable(cursor: Any) -> Any:
    """A cursor that any JSON encoder can store: where a number in it needs more digits than a float has,
    its JSON text stands in for it. `original` gives the cursor back."""
    return {_EXACT: _encoder.encode(cursor).decode()} if _holds_decimal(cursor) else cursor


def original(cursor: Any) -> Any:
    """The cursor as the platform gave it, ready to be encoded as JSON."""
    if isinstance(cursor, dict) and cursor.keys() == {_EXACT}:
        return msgspec.Raw(str(cursor[_EXACT]).encode())
    return cursor


def _holds_decimal(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_decimal, value.values()))
    if isinstance(value, list):
        return any(map(_holds_decimal, value))
    return isinstance(value, Decimal)


def _key(cursor: Any) -> bytes:
    return msgspec.json.encode(cursor, order="sorted")
