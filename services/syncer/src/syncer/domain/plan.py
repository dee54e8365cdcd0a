"""What is done with a mapped pair: unchanged, update, or conflict by the account's rule.

Planning works on what is *believed* of the platform: the value of the last pull, or the value that we wrote if we
wrote after that pull. An item that is as it should be by that belief costs nothing, not even a read. All others are
read afresh right before they are written, and `decide` has the last word.

Conflict: the platform's value differs from what it should be AND from what we wrote last. A value that we were about
to write when a worker died (`pending`) counts as ours. A field that we never wrote can't be in conflict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncer.domain.fields import Present, Values, is_personal, key_of, memory_of

ConflictRule = Literal["nhanh_wins", "keep_platform"]


@dataclass(frozen=True, slots=True)
class Memory:
    """What we know of our own writes to one item: field -> memory of its value."""

    written: Mapping[str, str] = field(default_factory=dict[str, str])
    pending: Mapping[str, str] = field(default_factory=dict[str, str])
    written_at: datetime | None = None


class Change(Struct, frozen=True):
    """A field that differs: values as they are, to be masked before anybody sees them."""

    field: str
    before: str | None
    after: str


class Decision(Struct, frozen=True):
    """`write`: to be written. `same`: already right. `overwritten` and `kept`: fields in conflict, by the rule."""

    write: tuple[Change, ...] = ()
    same: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    kept: tuple[Change, ...] = ()


def expected_changes(
    desired: Values, catalogue: Present, pulled_at: datetime | None, memory: Memory
) -> tuple[Change, ...]:
    """The fields that differ from what is believed of the platform, in the order of their names.

    `before` is the believed value where it can be told. A field that no pull knows (metafields) is believed to be
    what we wrote.
    """
    ours_is_newer = memory.written_at is not None and (pulled_at is None or memory.written_at > pulled_at)
    changes: list[Change] = []
    for name, value in sorted(desired.items()):
        ours = memory.written.get(name)
        if ours is not None and (ours_is_newer or name not in catalogue):
            if ours != memory_of(name, value):
                changes.append(Change(name, None if is_personal(name) else ours, value))
        elif name not in catalogue or key_of(name, catalogue[name]) != key_of(name, value):
            changes.append(Change(name, catalogue.get(name), value))
    return tuple(changes)


def decide(desired: Values, present: Present, memory: Memory, rule: ConflictRule) -> Decision:
    """Compare with the values just read from the platform. Deterministic: fields in the order of their names."""
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
        if not _changed_by_others(name, now, memory):
            write.append(change)
        elif rule == "nhanh_wins":
            write.append(change)
            overwritten.append(name)
        else:
            kept.append(change)
    return Decision(tuple(write), tuple(same), tuple(overwritten), tuple(kept))


def decide_again(decision: Decision, present: Present, memory: Memory, rule: ConflictRule) -> Decision:
    """A decision of an earlier attempt, which may have been carried out, looked at with the values read just now.

    A field that holds neither what it held then nor what was to be written has been changed since, and is decided anew.
    """
    moved = {
        change.field: change.after
        for change in decision.write
        if key_of(change.field, present.get(change.field))
        not in {key_of(change.field, change.before), key_of(change.field, change.after)}
    }
    anew = decide(moved, present, memory, rule)
    unmoved = [change for change in decision.write if change.field not in moved]
    return Decision(
        write=tuple(sorted([*unmoved, *anew.write], key=lambda change: change.field)),
        same=decision.same,
        overwritten=tuple(sorted({*decision.overwritten, *anew.overwritten} - {change.field for change in anew.kept})),
        kept=(*decision.kept, *anew.kept),
    )


def _changed_by_others(name: str, now: str | None, memory: Memory) -> bool:
    ours = {memory.written.get(name), memory.pending.get(name)} - {None}
    return bool(ours) and name in memory.written and memory_of(name, now) not in ours
