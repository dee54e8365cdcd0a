"""One write of many items, so that a bad item never fails its neighbours.

Shopify refuses some mutations as a whole because of one item. The items that it names are taken out and the
rest is sent again; where it names none, the batch is split in halves until the bad item stands alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from platforms.errors import PlatformError
from platforms.shopify.user_errors import UserError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Answer:
    """applied: whether the items without an error of their own were written all the same."""

    errors: list[UserError]
    applied: bool


class Batch(Generic[Item]):
    """Sends items through `send` and finds one outcome for each: None = written, or its error."""

    def __init__(self, items: Sequence[Item], send: Callable[[Sequence[Item]], Answer]) -> None:
        self._items = items
        self._send = send
        self._outcomes: dict[int, PlatformError | None] = {}

    def run(self) -> list[PlatformError | None]:
        """The outcomes in input order. Every round settles at least one item or halves the batch."""
        pending = [list(range(len(self._items)))] if self._items else []
        while pending:
            positions = pending.pop()
            answer = self._send([self._items[position] for position in positions])
            pending.extend(reversed(self._settle(positions, answer)))
        return [self._outcomes[position] for position in range(len(self._items))]

    def _settle(self, positions: list[int], answer: Answer) -> list[list[int]]:
        """Note the outcomes of one answer; the groups of positions that must be sent again."""
        named: dict[int, PlatformError] = {}
        unnamed: list[UserError] = []
        for error in answer.errors:
            if error.index is not None and error.index < len(positions):
                named.setdefault(positions[error.index], error.error)
            else:
                unnamed.append(error)
        self._outcomes.update(named)
        rest = [position for position in positions if position not in named]
        if not rest or (not answer.errors) or (answer.applied and not unnamed):
            self._outcomes.update(dict.fromkeys(rest))
            return []
        if named:
            return [rest]
        general = unnamed[0]
        if len(rest) == 1 or general.batch_wide:
            self._outcomes.update(dict.fromkeys(rest, general.error))
            return []
        middle = len(rest) // 2
        return [rest[:middle], rest[middle:]]
