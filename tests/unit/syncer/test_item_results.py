"""How an item ended, from its fields."""

from typing import Any

from msgspec import structs

from job_events.events import ErrorInfo
from syncer.domain.plan import Change, Decision
from syncer.jobs.item_results import (
    BEING_WRITTEN,
    OUTDATED,
    ItemResult,
    kept_error,
    result_of_item,
    result_of_listed,
)
from syncer.store.outcomes import ItemOutcome
from syncer.store.plans import FieldOutcome, Intended

PRICE = Change("price", "90", "100")
STOCK = Change("stock@a", "3", "5")
DESIRED = {"price": "100", "stock@a": "5"}
REFUSED = ErrorInfo("VALIDATION_FAILED", "INVALID", "no")
DENIED = ErrorInfo("PERMISSION_DENIED", "ACCESS_DENIED", "may not")


def ended(*arguments: Any) -> ItemResult:
    result = result_of_item(*arguments)
    assert result is not None
    return result


def item(**decision: Any) -> Intended:
    return Intended("41", "gid://1", Decision(**decision))


def done(field: str, error: ErrorInfo | None = None) -> FieldOutcome:
    return FieldOutcome("gid://1", field, error, 12)


def test_all_written() -> None:
    result = ended(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a")])
    assert (result.action, result.error, result.up_to_date, result.ms) == ("updated", None, True, 12)
    assert result.counts == {"successful": 1, "updated": 1}
    assert result.last_written == {"price": "100", "stock@a": "5"}


def test_an_item_that_was_written_in_part_is_updated_and_tells_what_was_not() -> None:
    result = ended(item(write=(PRICE, STOCK)), DESIRED, [done("price"), done("stock@a", REFUSED)])
    assert (result.action, result.up_to_date) == ("updated", False)
    assert result.counts == {"successful": 1, "updated": 1, "partlyFailed": 1}
    assert result.error == ErrorInfo("VALIDATION_FAILED", "INVALID", "stock@a: no")
    assert [change.name for change in result.changes] == ["price"]
    assert (result.last_written, result.written, result.refused) == ({"price": "100"}, ("price",), ("stock@a",))


def test_an_item_of_which_nothing_was_written_has_failed() -> None:
    result = ended(item(write=(PRICE, STOCK)), DESIRED, [done("price", REFUSED), done("stock@a", REFUSED)])
    assert (result.action, result.up_to_date, result.counts) == ("failed", False, {"failed": 1})
    assert result.last_written == {}


def test_a_job_that_breaks_off_tells_what_was_written_and_why_the_rest_was_not() -> None:
    result = ended(item(write=(PRICE, STOCK)), DESIRED, [done("price")], DENIED)
    assert (result.action, result.counts["updated"]) == ("updated", 1)
    assert result.error == ErrorInfo("PERMISSION_DENIED", "ACCESS_DENIED", "stock@a: may not")
    assert result.refused == ()


def test_an_item_that_a_job_never_came_to_is_not_told() -> None:
    assert result_of_item(item(write=(PRICE,)), DESIRED, [], DENIED) is None
    right = ended(item(same=("price",)), DESIRED, [], DENIED)
    assert right.counts == {"successful": 1, "unchanged": 1}


def test_a_kept_field_is_a_conflict_and_no_memory() -> None:
    result = ended(item(kept=(PRICE,)), DESIRED, [])
    assert (result.action, result.counts) == ("conflict", {"skipped": 1, "conflicts": 1})
    assert (result.last_written, result.up_to_date) == ({}, False)


def test_a_conflict_beside_a_written_field_counts_as_updated() -> None:
    result = ended(item(write=(STOCK,), kept=(PRICE,)), DESIRED, [done("stock@a")])
    assert (result.action, result.counts) == ("conflict", {"successful": 1, "updated": 1, "conflicts": 1})
    assert (result.last_written, result.up_to_date) == ({"stock@a": "5"}, False)


def test_a_field_kept_at_the_second_look_is_a_conflict_too() -> None:
    result = ended(item(write=(STOCK,)), DESIRED, [done("stock@a", kept_error(["stock@a"]))])
    assert (result.action, result.counts) == ("conflict", {"skipped": 1, "conflicts": 1})


def test_what_a_revert_finds_changed_is_left_and_named() -> None:
    left = ended(item(moved=(PRICE,)), DESIRED, [])
    assert (left.action, left.error.code, left.counts) == ("skipped", "CHANGED_SINCE", {"skipped": 1})
    half = ended(item(write=(STOCK,), moved=(PRICE,)), DESIRED, [done("stock@a")])
    assert (half.action, half.error.code, half.counts) == ("updated", "CHANGED_SINCE", {"successful": 1, "updated": 1})


def test_a_held_item_is_skipped_with_its_reason_and_its_changes_are_shown() -> None:
    result = ended(structs.replace(item(write=(PRICE,)), held="too much"), DESIRED, [])
    assert (result.action, result.counts, result.held) == ("skipped", {"skipped": 1, "held": 1}, "too much")
    assert (result.shown, result.last_written) == ((PRICE,), None)


def test_an_overwritten_value_is_told_as_a_conflict_that_succeeded() -> None:
    result = ended(item(write=(PRICE,), overwritten=("price",)), DESIRED, [done("price")])
    assert (result.action, result.error) == ("conflict", None)
    assert result.counts == {"successful": 1, "updated": 1, "conflicts": 1}


def test_right_already_is_told_nowhere_but_remembered() -> None:
    result = ended(item(same=("price",)), DESIRED, [])
    assert (result.action, result.counts) == (None, {"successful": 1, "unchanged": 1})
    assert result.last_written == {"price": "100"}


def test_a_dry_run_writes_and_remembers_nothing() -> None:
    would = result_of_listed(item(write=(PRICE,), same=("stock@a",)), None)
    assert (would.action, would.last_written, would.counts["wouldUpdate"]) == ("would_update", None, 1)
    assert (would.held, would.shown) == (None, ())
    assert result_of_listed(item(kept=(PRICE,)), None).action == "conflict"
    assert result_of_listed(item(moved=(PRICE,)), None).action == "skipped"
    assert result_of_listed(item(same=("price",)), None).action is None
    assert result_of_listed(Intended("41", "gid://1", error=REFUSED), None).counts == {"failed": 1}


def test_a_dry_run_tells_what_would_be_held_and_that_the_run_would_stop() -> None:
    held = result_of_listed(structs.replace(item(write=(PRICE,)), held="too much"), None)
    assert (held.action, held.held, held.counts["held"], held.shown) == ("would_update", "too much", 1, (PRICE,))
    stopped = result_of_listed(item(write=(PRICE,)), "9 of 10 would change")
    assert (stopped.action, stopped.held) == ("would_update", "the run stops: 9 of 10 would change")
    assert (stopped.counts["wouldUpdate"], stopped.counts["skipped"], stopped.shown) == (1, 1, (PRICE,))


def test_what_is_kept_of_a_result_for_retries_and_the_next_order() -> None:
    right = ItemOutcome("41", "gid://1", synced=True)
    refused = ItemOutcome("41", "gid://1", failure=ErrorInfo("VALIDATION_FAILED", "INVALID", "stock@a: no"))
    half = [done("price"), done("stock@a", REFUSED)]
    nothing = [done("price", REFUSED), done("stock@a", REFUSED)]
    assert ended(item(write=(PRICE,)), DESIRED, [done("price")]).outcome() == right
    assert ended(item(same=("price",)), DESIRED, []).outcome() == right
    assert ended(item(write=(PRICE,), overwritten=("price",)), DESIRED, [done("price")]).outcome() == right
    assert ended(item(write=(PRICE, STOCK)), DESIRED, half).outcome() == refused
    assert ended(item(write=(PRICE, STOCK)), DESIRED, nothing).outcome().failure is not None
    # A conflict that was left by the rule is neither synced nor failed.
    assert ended(item(kept=(PRICE,)), DESIRED, []).outcome() == ItemOutcome("41", "gid://1")


def test_of_an_item_that_waits_or_was_left_to_another_run_nothing_is_kept() -> None:
    held = structs.replace(item(write=(PRICE,)), held="too much")
    assert ended(held, DESIRED, []).outcome() is None
    for error in (OUTDATED, BEING_WRITTEN):
        left = ended(structs.replace(item(), error=error), DESIRED, [])
        assert (left.action, left.outcome()) == ("skipped", None)
    assert result_of_listed(item(write=(PRICE,)), "the run stops").outcome() is None
