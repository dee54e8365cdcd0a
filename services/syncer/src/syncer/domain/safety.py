"""The stop on too large a change, judged before the first write.

Two rules, each enough to stop a run that was not asked with `confirm`:

1. Any price or stock that would go from something to zero, or to ten times or a tenth of what it was (from 10 to 100,
   from 10 to 1). These hold for every item, the first time too.
2. More than `max_change_share` of the *known* items, and more than `max_change_floor` of them, would change. Known
   are items that a sync has written or found right before: on an account's first run nothing is known, much differs
   by right, and the share can't stop it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from syncer.domain.fields import PRICE, location_of
from syncer.domain.plan import Change

_TIMES = 10
_NAMED = 20  # items that the sentence names; the full list goes to the job's items


def suspicion(change: Change) -> str | None:
    """Why this one change looks like an accident, None if it does not. Only prices and stock are judged."""
    if change.field != PRICE and location_of(change.field) is None:
        return None
    before, after = _number(change.before), _number(change.after)
    if before is None or after is None or before <= 0:
        return None  # from nothing, every value is new
    what = "price" if change.field == PRICE else "stock"
    if after == 0:
        return f"{what} to zero"
    if after >= before * _TIMES or after * _TIMES <= before:
        return f"{what} from {change.before} to {change.after}"
    return None


@dataclass(slots=True)
class Extent:
    """Gathers how much a run would change, item by item."""

    known: int = 0
    known_changed: int = 0
    suspicious: int = 0
    named: list[str] = field(default_factory=list[str])

    def add(self, item: str, *, known: bool, changes: Iterable[Change]) -> None:
        """Count one mapped item; no changes = it stays as it is."""
        changed = list(changes)
        self.known += known
        self.known_changed += known and bool(changed)
        reasons = [reason for reason in map(suspicion, changed) if reason]
        if reasons:
            self.suspicious += 1
            if len(self.named) < _NAMED:
                self.named.append(f"{item} ({', '.join(reasons)})")

    def too_large(self, max_share: float, floor: int) -> str | None:
        """The sentence that stops the run, or None."""
        if self.suspicious:
            more = self.suspicious - len(self.named)
            names = "; ".join(self.named) + (f"; and {more} more" if more else "")
            return f"{self.suspicious} items would change as if by accident: {names}"
        if self.known_changed > floor and self.known_changed > max_share * self.known:
            return (
                f"{self.known_changed} of {self.known} known items would change, "
                f"more than the allowed share of {max_share:g}"
            )
        return None


def _number(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
