"""How an item ended, from its fields."""

from typing import Any

from msgspec import structs

from job_events.events import ErrorInfo
from syncer.domain.plan import Change, Decision
from syncer.jobs.verdicts import Verdict, judge_item, judge_listed, kept_error
from syncer.store.plans import FieldOutcome, Intended

PRICE = Change("price", "90", "100")
STOCK = Change("stock@a", "3", "5")
DESIRED = {"price": "100", "stock@a": "5"}
REFUSED = ErrorInfo("VALIDATION_FAILED", "INVALID", "no")
DENIED = ErrorInfo("PERMISSION_DENIED", "ACCESS_DENIED", "may not")


def judged(*arguments: Any) -> Verdict:
    verdict = judge_item(*arguments)
    assert verdict is not None
    return verdict


def item(**decision: Any) -> Intended:
    return Intended("41", "gid://1", Decision(**decision))


def done(field: str, error: ErrorInfo | None = None) -> FieldOutcome:
    return FieldOutcome("gid://1", field, error, 12)


def test_all_written() -> None:
    verdict = judged(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a")])
    assert (verdict.action, verdict.error, verdict.right, verdict.ms) == ("updated", None, True, 12)
    assert verdict.counts == {"successful": 1, "updated": 1}
    assert verdict.memories == {"price": "100", "stock@a": "5"}


def test_an_item_that_was_written_in_part_is_updated_and_tells_what_was_not() -> None:
    verdict = judged(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a", REFUSED)])
    assert (verdict.action, verdict.right) == ("updated", False)
    assert verdict.counts == {"successful": 1, "updated": 1, "partlyFailed": 1}
    assert verdict.error == ErrorInfo("VALIDATION_FAILED", "INVALID", "stock@a: no")
    assert [change.name for change in verdict.changes] == ["price"]
    assert (verdict.memories, verdict.written, verdict.refused) == ({"price": "100"}, ("price",), ("stock@a",))


def test_an_item_of_which_nothing_was_written_has_failed() -> None:
    verdict = judged(item(write=(PRICE, STOCK)), DESIRED, [done("price", REFUSED), done("stock@a", REFUSED)])
    assert (verdict.action, verdict.right, verdict.counts) == ("failed", False, {"failed": 1})
    assert verdict.memories == {}


def test_a_job_that_breaks_off_tells_what_was_written_and_why_the_rest_was_not() -> None:
    verdict = judged(item(write=(PRICE, STOCK)), DESIRED, [done("price")], DENIED)
    assert (verdict.action, verdict.counts["updated"]) == ("updated", 1)
    assert verdict.error == ErrorInfo("PERMISSION_DENIED", "ACCESS_DENIED", "stock@a: may not")
    assert verdict.refused == ()


def test_an_item_that_a_job_never_came_to_is_not_told() -> None:
    assert judge_item(item(write=(PRICE,)), DESIRED, [], DENIED) is None
    right = judged(item(same=("price",)), DESIRED, [], DENIED)
    assert right.counts == {"successful": 1, "unchanged": 1}


def test_a_kept_field_is_a_conflict_and_no_memory() -> None:
    verdict = judged(item(kept=(PRICE,)), DESIRED, [])
    assert (verdict.action, verdict.counts) == ("conflict", {"skipped": 1, "conflicts": 1})
    assert (verdict.memories, verdict.right) == ({}, False)


def test_a_conflict_beside_a_written_field_counts_as_updated() -> None:
    verdict = judged(item(write=(STOCK,), kept=(PRICE,)), DESIRED, [done("stock@a")])
    assert (verdict.action, verdict.counts) == ("conflict", {"successful": 1, "updated": 1, "conflicts": 1})
    assert (verdict.memories, verdict.right) == ({"stock@a": "5"}, False)


def test_a_field_kept_at_the_second_look_is_a_conflict_too() -> None:
    verdict = judged(item(write=(STOCK,)), DESIRED, [done("stock@a", kept_error(["stock@a"]))])
    assert (verdict.action, verdict.counts) == ("conflict", {"skipped": 1, "conflicts": 1})


def test_what_a_revert_finds_changed_is_left_and_named() -> None:
    left = judged(item(moved=(PRICE,)), DESIRED, [])
    assert (left.action, left.error.code, left.counts) == ("skipped", "CHANGED_SINCE", {"skipped": 1})
    half = judged(item(write=(STOCK,), moved=(PRICE,)), DESIRED, [done("stock@a")])
    assert (half.action, half.error.code, half.counts) == ("updated", "CHANGED_SINCE", {"successful": 1, "updated": 1})


def test_a_held_item_is_skipped_with_its_reason_and_its_changes_are_shown() -> None:
    verdict = judged(structs.replace(item(write=(PRICE,)), held="too much"), DESIRED, [])
    assert (verdict.action, verdict.counts, verdict.held) == ("skipped", {"skipped": 1, "held": 1}, "too much")
    assert (verdict.shown, verdict.memories) == ((PRICE,), None)


def test_an_overwritten_value_is_told_as_a_conflict_that_succeeded() -> None:
    verdict = judged(item(write=(PRICE,), overwritten=("price",)), DESIRED, [done("price")])
    assert (verdict.action, verdict.error) == ("conflict", None)
    assert verdict.counts == {"successful": 1, "updated": 1, "conflicts": 1}


def test_right_already_is_told_nowhere_but_remembered() -> None:
    verdict = judged(item(same=("price",)), DESIRED, [])
    assert (verdict.action, verdict.counts) == (None, {"successful": 1, "unchanged": 1})
    assert verdict.memories == {"price": "100"}


def test_a_dry_run_writes_and_remembers_nothing() -> None:
    would = judge_listed(item(write=(PRICE,), same=("stock@a",)), None)
    assert (would.action, would.memories, would.counts["wouldUpdate"]) == ("would_update", None, 1)
    assert (would.held, would.shown) == (None, ())
    assert judge_listed(item(kept=(PRICE,)), None).action == "conflict"
    assert judge_listed(item(moved=(PRICE,)), None).action == "skipped"
    assert judge_listed(item(same=("price",)), None).action is None
    assert judge_listed(Intended("41", "gid://1", error=REFUSED), None).counts == {"failed": 1}


def test_a_dry_run_tells_what_would_be_held_and_that_the_run_would_stop() -> None:
    held = judge_listed(structs.replace(item(write=(PRICE,)), held="too much"), None)
    assert (held.action, held.held, held.counts["held"], held.shown) == ("would_update", "too much", 1, (PRICE,))
    stopped = judge_listed(item(write=(PRICE,)), "9 of 10 would change")
    assert (stopped.action, stopped.held) == ("would_update", "the run stops: 9 of 10 would change")
    assert (stopped.counts["wouldUpdate"], stopped.counts["skipped"], stopped.shown) == (1, 1, (PRICE,))
