"""Drift: what the channel holds of a linked pair differs from what a sync would write there now."""

from dataclasses import dataclass
from typing import Literal

from platforms.field_names import PRICE, location_of
from syncer.domain.fields import Present, Values, last_written_of
from syncer.domain.plan import Change, ConflictRules, LastWritten, decide

LastWrite = Literal["ours", "other", "never"]
"""Who wrote the value that the channel holds now. ours: it is what a sync wrote last, so the hub has changed since.
other: somebody else has changed it. never: no sync has written the field yet.
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """The fields that differ, in the order of their names.

    last_write: of all of them; where they differ, the one that needs a look: other, then never, then ours.
    kept: fields that a sync would leave as they are, by the account's conflict rules.
    """

    changes: tuple[Change, ...]
    last_write: LastWrite
    kept: tuple[str, ...] = ()

    @property
    def of_stock(self) -> bool:
        """Whether a quantity differs."""
        return any(location_of(change.field) is not None for change in self.changes)

    @property
    def of_price(self) -> bool:
        """Whether the price differs."""
        return any(change.field == PRICE for change in self.changes)


def find_drift(wanted: Values, present: Present, last_written: LastWritten, rules: ConflictRules) -> Drift | None:
    """Compare as a sync does right before it writes; None: every wanted field is as it should be."""
    decision = decide(wanted, present, last_written, rules)
    changes = tuple(sorted([*decision.write, *decision.kept], key=lambda change: change.field))
    if not changes:
        return None
    writers = {last_write_of(change.field, change.before, last_written) for change in changes}
    whose: LastWrite = "other" if "other" in writers else "never" if "never" in writers else "ours"
    return Drift(changes, whose, tuple(change.field for change in decision.kept))


def last_write_of(field: str, present: str | None, last_written: LastWritten) -> LastWrite:
    """Who wrote a field's present value. A value that a sync was about to write when it crashed is its own."""
    if last_written_of(field, present) in {last_written.written.get(field), last_written.pending.get(field)}:
        return "ours"
    return "other" if field in last_written.written else "never"
