"""How a batch's items ended, from what was decided and how each field's write went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from job_events.events import Action, ErrorInfo, FieldChange
from syncer.domain.fields import memory_of, shown
from syncer.domain.plan import Change, Decision
from syncer.store.plans import FieldOutcome, Intended

KEPT: Final = "KEPT_PLATFORM"
OUTDATED: Final = ErrorInfo(
    "CONFLICT", "PLAN_OUTDATED", "what it should be, or its mapping, has changed since this job was planned; sync again"
)
_MAX_CHANGES: Final = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """One item's outcome. action None: nothing to tell.

    memories: what the platform now holds by our knowledge; None: nothing was sent, so there is nothing to note.
    """

    item: Intended
    action: Action | None
    counts: dict[str, int]
    error: ErrorInfo | None
    changes: tuple[FieldChange, ...]
    memories: Mapping[str, str] | None
    ms: int | None

    @property
    def right(self) -> bool:
        """Whether every field is now as it should be."""
        return self.error is None


def judge_item(item: Intended, desired: Mapping[str, str], outcomes: Sequence[FieldOutcome]) -> Verdict:
    """Fold the outcomes of an item's fields. An item of which one field failed has failed; the log says which."""
    decision = item.decision
    errors = {outcome.field: outcome.error for outcome in outcomes if outcome.error is not None}
    right = {*decision.same, *(outcome.field for outcome in outcomes if outcome.error is None)}
    memories = {name: memory_of(name, desired[name]) for name in sorted(right)}
    kept = [*(change.field for change in decision.kept), *(f for f, e in errors.items() if e.code == KEPT)]
    failed = {name: error for name, error in errors.items() if error.code != KEPT}
    conflicts = int(bool(kept or decision.overwritten))
    changes = field_changes([*decision.write, *decision.kept])
    ms = max((outcome.ms for outcome in outcomes), default=None)

    def verdict(action: Action | None, error: ErrorInfo | None, **counts: int) -> Verdict:
        return Verdict(item, action, counts, error, changes, memories, ms)

    if item.error is not None:
        return _refused(item, item.error)
    if failed:
        return verdict("failed", _of_fields(failed), failed=1, conflicts=conflicts)
    if kept:
        return verdict("conflict", kept_error(kept), skipped=1, conflicts=1)
    if decision.overwritten:
        return verdict("conflict", None, successful=1, updated=1, conflicts=1)
    if decision.write:
        return verdict("updated", None, successful=1, updated=1)
    return verdict(None, None, successful=1, unchanged=1)


def judge_dry(item: Intended) -> Verdict:
    """What a run that writes would do with an item."""
    decision: Decision = item.decision
    changes = field_changes([*decision.write, *decision.kept])
    if item.error is not None:
        return _refused(item, item.error)
    if decision.kept:
        error = kept_error([change.field for change in decision.kept])
        return Verdict(item, "conflict", {"skipped": 1, "conflicts": 1}, error, changes, None, None)
    if decision.write:
        counts = {"successful": 1, "wouldUpdate": 1, "conflicts": int(bool(decision.overwritten))}
        return Verdict(item, "would_update", counts, None, changes, None, None)
    return Verdict(item, None, {"successful": 1, "unchanged": 1}, None, (), None, None)


def _refused(item: Intended, error: ErrorInfo) -> Verdict:
    if error == OUTDATED:
        return Verdict(item, "skipped", {"skipped": 1}, error, (), None, None)
    return Verdict(item, "failed", {"failed": 1}, error, (), None, None)


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


def _of_fields(errors: Mapping[str, ErrorInfo]) -> ErrorInfo:
    name, first = next(iter(errors.items()))
    others = f" (and {len(errors) - 1} more fields)" if len(errors) > 1 else ""
    return ErrorInfo(first.category, first.code, f"{name}: {first.message}{others}"[:4096])
