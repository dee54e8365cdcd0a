"""The result of each item of a batch, from what was decided and how the write of each field ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from job_events.events import Action, ErrorInfo, FieldChange
from syncer.domain.fields import last_written_of, shown
from syncer.domain.plan import Change, Decision
from syncer.store.outcomes import ItemOutcome
from syncer.store.plans import FieldOutcome, Intended

KEPT: Final = "KEPT_PLATFORM"
OUTDATED: Final = ErrorInfo(
    "CONFLICT", "PLAN_OUTDATED", "what it should be, or its mapping, has changed since this job was planned; sync again"
)
BEING_WRITTEN: Final = ErrorInfo(
    "CONFLICT", "BEING_WRITTEN", "another running job was writing this item; the next sync compares it again"
)
_MAX_CHANGES: Final = 50


@dataclass(frozen=True, slots=True)
class ItemResult:
    """How one item ended. action None: no event.

    last_written: the values that the channel now holds, as stored; None: nothing was sent, so nothing is stored.
    written, refused: fields whose writes succeeded or failed. held: why the changes wait for a confirmation.
    shown: the changes that a plan token of the job stands for.
    """

    item: Intended
    action: Action | None
    counts: dict[str, int]
    error: ErrorInfo | None = None
    changes: tuple[FieldChange, ...] = ()
    last_written: Mapping[str, str] | None = None
    written: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    ms: int | None = None
    held: str | None = None
    shown: tuple[Change, ...] = ()

    @property
    def up_to_date(self) -> bool:
        """Whether every field now has its desired value."""
        return self.error is None

    @property
    def failure(self) -> ErrorInfo | None:
        """Why the item, or a part of it, failed. A conflict and a held item are no failures."""
        return self.error if self.action == "failed" or "partlyFailed" in self.counts else None

    def outcome(self) -> ItemOutcome | None:
        """What is kept of the result; None where the item was not compared to its end, or waits for a confirmation."""
        if self.held is not None or self.action in {"skipped", "would_update"}:
            return None
        synced = self.error is None
        return ItemOutcome(self.item.hub_id, self.item.remote_id, synced=synced, failure=self.failure)


def result_of_item(
    item: Intended,
    desired: Mapping[str, str],
    outcomes: Sequence[FieldOutcome],
    broken_off: ErrorInfo | None = None,
) -> ItemResult | None:
    """The result from the outcomes of an item's fields; None where the job broke off before any was sent.

    An item of which nothing was written has failed; one that was written in part was updated, and its error says
    what was not. broken_off: why the job went no further, which is the error of fields without an outcome.
    """
    if item.error is not None:
        return _refused(item, item.error)
    if item.held is not None:
        return _held(item, item.held)
    decision = item.decision
    errors = {outcome.field: outcome.error for outcome in outcomes if outcome.error is not None}
    written = tuple(outcome.field for outcome in outcomes if outcome.error is None)
    answered = {*errors, *written}
    unsent = [change.field for change in decision.write if change.field not in answered]
    if broken_off is not None and unsent and not answered:
        return None
    failed = {name: error for name, error in errors.items() if error.code != KEPT}
    if broken_off is not None:
        failed |= dict.fromkeys(unsent, broken_off)
    kept = [*(change.field for change in decision.kept), *(f for f, e in errors.items() if e.code == KEPT)]
    sent = [change for change in decision.write if change.field in written]
    action, error, counts = _outcome(decision, failed, kept, changed=bool(sent))
    return ItemResult(
        item,
        action,
        counts,
        error,
        field_changes([*(sent or decision.write), *decision.kept, *decision.moved]),
        {name: last_written_of(name, desired[name]) for name in sorted({*decision.same, *written})},
        written,
        tuple(sorted(errors)),
        max((outcome.ms for outcome in outcomes), default=None),
    )


def _outcome(
    decision: Decision, failed: Mapping[str, ErrorInfo], kept: Sequence[str], *, changed: bool
) -> tuple[Action | None, ErrorInfo | None, dict[str, int]]:
    """Action, error and counts of an item that was sent. changed: at least one field of it was written."""
    conflicts = {"conflicts": 1} if kept or decision.overwritten else {}
    done = {"successful": 1, "updated": 1, **conflicts}
    error = None
    action: Action | None = "updated"
    if failed:
        error = _of_fields(failed)
        if not changed:
            return "failed", error, {"failed": 1, **conflicts}
        done["partlyFailed"] = 1
    elif kept:
        action, error = "conflict", kept_error(kept)
    elif decision.moved:
        action, error = ("updated" if changed else "skipped"), moved_error(decision.moved)
    elif decision.overwritten:
        action = "conflict"
    elif not decision.write:
        return None, None, {"successful": 1, "unchanged": 1}
    if not changed and error is not None:
        done = {"skipped": 1, **conflicts}
    return action, error, done


def result_of_listed(item: Intended, stop: str | None) -> ItemResult:
    """What a run that writes would do with an item. stop: why such a run would stop before it."""
    if item.error is not None:
        return _refused(item, item.error)
    decision = item.decision
    changes = field_changes([*decision.write, *decision.kept, *decision.moved])
    waits = item.held or (f"the run stops: {stop}" if stop else None)
    if decision.write and waits:
        counts = {"skipped": 1, "wouldUpdate": 1, "held": int(item.held is not None)}
        return ItemResult(item, "would_update", counts, None, changes, held=waits, shown=decision.write)
    action, error, counts = _outcome(decision, {}, [change.field for change in decision.kept], changed=True)
    if decision.write:
        action, counts = "would_update", {**counts, "updated": 0, "wouldUpdate": 1}
    elif error is not None:
        action = "skipped" if decision.moved else action
        counts = {"skipped": 1, "conflicts": int(bool(decision.kept))}
    return ItemResult(item, action, counts, error, changes)


def _held(item: Intended, reason: str) -> ItemResult:
    writes = item.decision.write
    changes = field_changes(writes)
    return ItemResult(item, "skipped", {"skipped": 1, "held": 1}, None, changes, held=reason, shown=writes)


def _refused(item: Intended, error: ErrorInfo) -> ItemResult:
    if error in {OUTDATED, BEING_WRITTEN}:
        return ItemResult(item, "skipped", {"skipped": 1}, error)
    return ItemResult(item, "failed", {"failed": 1}, error)


def field_changes(changes: Sequence[Change]) -> tuple[FieldChange, ...]:
    """Changes as an event may carry them: personal values masked, the number bounded."""
    return tuple(
        FieldChange(change.field[:128], shown(change.field, change.before), shown(change.field, change.after))
        for change in changes[:_MAX_CHANGES]
    )


def kept_error(names: Sequence[str]) -> ErrorInfo:
    """Why fields were left as they are."""
    text = f"{', '.join(names)} changed on the platform since our last write and was kept by the account's rule"
    return ErrorInfo("CONFLICT", KEPT, text)


def moved_error(changes: Sequence[Change]) -> ErrorInfo:
    """Why a revert left fields as they are."""
    names = ", ".join(change.field for change in changes)
    return ErrorInfo("CONFLICT", "CHANGED_SINCE", f"{names}: no longer what the sync wrote, so left as it is")


def _of_fields(errors: Mapping[str, ErrorInfo]) -> ErrorInfo:
    name, first = next(iter(errors.items()))
    others = f" (and {len(errors) - 1} more fields)" if len(errors) > 1 else ""
    return ErrorInfo(first.category, first.code, f"{name}: {first.message}{others}"[:4096])
