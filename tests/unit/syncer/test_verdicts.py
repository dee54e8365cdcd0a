"""How an item ended, from its fields."""

from typing import Any

from job_events.events import ErrorInfo
from syncer.domain.plan import Change, Decision
from syncer.jobs.verdicts import judge_dry, judge_item, kept_error
from syncer.store.plans import FieldOutcome, Intended

PRICE = Change("price", "90", "100")
STOCK = Change("stock@a", "3", "5")
DESIRED = {"price": "100", "stock@a": "5"}
REFUSED = ErrorInfo("VALIDATION_FAILED", "INVALID", "no")


def item(**decision: Any) -> Intended:
    return Intended("41", "gid://1", Decision(**decision))


def done(field: str, error: ErrorInfo | None = None) -> FieldOutcome:
    return FieldOutcome("gid://1", field, error, 12)


def test_all_written() -> None:
    verdict = judge_item(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a")])
    assert (verdict.action, verdict.error, verdict.right, verdict.ms) == ("updated", None, True, 12)
    assert verdict.counts == {"successful": 1, "updated": 1}
    assert verdict.memories == {"price": "100", "stock@a": "5"}


def test_one_refused_field_fails_the_item_and_remembers_the_other() -> None:
    verdict = judge_item(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a", REFUSED)])
    assert (verdict.action, verdict.right, verdict.counts["failed"]) == ("failed", False, 1)
    assert verdict.error == ErrorInfo("VALIDATION_FAILED", "INVALID", "stock@a: no")
    assert verdict.memories == {"price": "100"}


def test_a_kept_field_is_a_conflict_and_no_memory() -> None:
    verdict = judge_item(item(write=(STOCK,), kept=(PRICE,)), DESIRED, [done("stock@a")])
    assert (verdict.action, verdict.counts) == ("conflict", {"skipped": 1, "conflicts": 1})
    assert (verdict.memories, verdict.right) == ({"stock@a": "5"}, False)


def test_a_field_kept_at_the_second_look_is_a_conflict_too() -> None:
    outcomes = [done("price"), done("stock@a", kept_error(["stock@a"]))]
    verdict = judge_item(item(write=(PRICE, STOCK)), DESIRED, outcomes)
    assert (verdict.action, verdict.counts) == ("conflict", {"skipped": 1, "conflicts": 1})


def test_an_overwritten_value_is_told_as_a_conflict_that_succeeded() -> None:
    verdict = judge_item(item(write=(PRICE,), overwritten=("price",)), DESIRED, [done("price")])
    assert (verdict.action, verdict.error) == ("conflict", None)
    assert verdict.counts == {"successful": 1, "updated": 1, "conflicts": 1}


def test_right_already_is_told_nowhere_but_remembered() -> None:
    verdict = judge_item(item(same=("price",)), DESIRED, [])
    assert (verdict.action, verdict.counts) == (None, {"successful": 1, "unchanged": 1})
    assert verdict.memories == {"price": "100"}


def test_a_dry_run_writes_and_remembers_nothing() -> None:
    would = judge_dry(item(write=(PRICE,), same=("stock@a",)))
    assert (would.action, would.memories, would.counts["wouldUpdate"]) == ("would_update", None, 1)
    assert judge_dry(item(kept=(PRICE,))).action == "conflict"
    assert judge_dry(item(same=("price",))).action is None
    assert judge_dry(Intended("41", "gid://1", error=REFUSED)).counts == {"failed": 1}
