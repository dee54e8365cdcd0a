"""Nhanh's opaque cursors: a walk that comes back to a page it has seen would never end."""

from typing import Any

import msgspec

from platforms.errors import Rejected


class CursorGuard:
    """Remembers the cursors of one walk. Asking a page again is fine; a `next` that leads back is not."""

    def __init__(self) -> None:
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
            raise Rejected("REPEATED_NEXT", "Nhanh answered a cursor that it had given before")
        self._positions[ahead] = here + 1


def _key(cursor: Any) -> bytes:
    return msgspec.json.encode(cursor, order="sorted")
