"""What is done with a linked pair: unchanged, update, or conflict by the account's rule.

A plan compares with the *believed* values of the channel: those of the last pull, or those that a sync wrote after that
pull. An item that holds its desired values by that belief costs nothing, not even a read. All others are read again
right before they are written, and `decide` decides.

Conflict: the channel's value differs from the desired one AND from what a sync wrote, or found as it should be, last. A
value that a sync was about to write when its worker crashed (`pending`) counts as written by it. A field without a last
written value cannot be in conflict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from platforms.field_names import location_of
from platforms.settings import ConflictRule
from syncer.domain.fields import Present, Values, is_personal, key_of, last_written_of


@dataclass(frozen=True, slots=True)
class ConflictRules:
    """Who wins a conflict. Stock has a rule of its own: what was sold in the shop is in the hub's stock already."""

    fields: ConflictRule = "nhanh_wins"
    stock: ConflictRule = "nhanh_wins"

    def of(self, name: str) -> ConflictRule:
        """The rule of a field."""
        return self.fields if location_of(name) is None else self.stock


@dataclass(frozen=True, slots=True)
class LastWritten:
    """What a sync last wrote to one item, or found there as it should be: field -> value as stored."""

    written: Mapping[str, str] = field(default_factory=dict[str, str])
    pending: Mapping[str, str] = field(default_factory=dict[str, str])
    written_at: datetime | None = None


class Change(Struct, frozen=True):
    """A field that differs: values as they are, to be masked before anybody sees them."""

    field: str
    before: str | None
    after: str


class Decision(Struct, frozen=True):
    """write: to be written. same: already as desired. overwritten, kept: fields in conflict, by the rule.

    moved: fields that a revert does not write, because they no longer hold what the sync wrote.
    """

    write: tuple[Change, ...] = ()
    same: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    kept: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()


def expected_changes(
    desired: Values, catalogue: Present, pulled_at: datetime | None, last_written: LastWritten
) -> tuple[Change, ...]:
    """The fields that differ from the believed values of the channel, in the order of their names.

    `before` is the believed value where it is stored. A field that no pull reads (metafields) is believed to hold the
    last written value.
    """
    sync_is_newer = last_written.written_at is not None and (pulled_at is None or last_written.written_at > pulled_at)
    changes: list[Change] = []
    for name, value in sorted(desired.items()):
        stored = last_written.written.get(name)
        if stored is not None and (sync_is_newer or name not in catalogue):
            if stored != last_written_of(name, value):
                changes.append(Change(name, None if is_personal(name) else stored, value))
        elif name not in catalogue or key_of(name, catalogue[name]) != key_of(name, value):
            changes.append(Change(name, catalogue.get(name), value))
    return tuple(changes)


def new_agreements(desired: Values, catalogue: Present, last_written: LastWritten) -> dict[str, str]:
    """The fields that a pull found as desired, with the value to store, where another one or none is stored.

    A value found as desired counts as written: it makes the item known, and a later difference a conflict.
    """
    return {
        name: last_written_of(name, value)
        for name, value in sorted(desired.items())
        if name in catalogue
        and key_of(name, catalogue[name]) == key_of(name, value)
        and last_written.written.get(name) != last_written_of(name, value)
    }


def decide(desired: Values, present: Present, last_written: LastWritten, rules: ConflictRules) -> Decision:
    """Compare with the values just read from the platform. Fields are in the order of their names."""
    write: list[Change] = []
    same: list[str] = []
    overwritten: list[str] = []
    kept: list[Change] = []
    for name, value in sorted(desired.items()):
        now = present.get(name)
        if key_of(name, now) == key_of(name, value):
            same.append(name)
            continue
        change = Change(name, now, value)
        if not _changed_by_others(name, now, last_written):
            write.append(change)
        elif rules.of(name) == "nhanh_wins":
            write.append(change)
            overwritten.append(name)
        else:
            kept.append(change)
    return Decision(tuple(write), tuple(same), tuple(overwritten), tuple(kept))


def is_outdated(planned: Values, wanted: Values) -> bool:
    """Whether a value that was planned is no longer what is wanted, or nothing is wanted of its field any more.

    In the compared form: another release may spell the same value otherwise (52000.00 for 52000).
    """
    return any(
        name not in wanted or key_of(name, wanted[name]) != key_of(name, value) for name, value in planned.items()
    )


def decide_revert(desired: Values, wrote: Values, present: Present) -> Decision:
    """What takes a sync back: the values of before it, where the platform still holds what it wrote."""
    write: list[Change] = []
    same: list[str] = []
    moved: list[Change] = []
    for name, value in sorted(desired.items()):
        now = key_of(name, present.get(name))
        change = Change(name, present.get(name), value)
        if now == key_of(name, value):
            same.append(name)
        elif now == key_of(name, wrote[name]):
            write.append(change)
        else:
            moved.append(change)
    return Decision(tuple(write), tuple(same), moved=tuple(moved))


def decide_again(decision: Decision, present: Present, last_written: LastWritten, rules: ConflictRules) -> Decision:
    """A decision of an earlier attempt, which may have been carried out, looked at with the values read just now.

    A field that holds neither what it held then nor what was to be written has been changed since, and is decided anew.
    """
    moved = moved_since(decision, present)
    anew = decide(moved, present, last_written, rules)
    unmoved = [change for change in decision.write if change.field not in moved]
    return Decision(
        write=tuple(sorted([*unmoved, *anew.write], key=lambda change: change.field)),
        same=decision.same,
        overwritten=tuple(sorted({*decision.overwritten, *anew.overwritten} - {change.field for change in anew.kept})),
        kept=(*decision.kept, *anew.kept),
    )


def moved_since(decision: Decision, present: Present) -> dict[str, str]:
    """The fields to be written that hold neither what they held then nor what was to be written."""
    return {
        change.field: change.after
        for change in decision.write
        if key_of(change.field, present.get(change.field))
        not in {key_of(change.field, change.before), key_of(change.field, change.after)}
    }


def _changed_by_others(name: str, now: str | None, last_written: LastWritten) -> bool:
    stored = {last_written.written.get(name), last_written.pending.get(name)} - {None}
    return bool(stored) and name in last_written.written and last_written_of(name, now) not in stored
