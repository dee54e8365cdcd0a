"""Planning a list: which index serves it, in which ranges, and what is left to a bounded scan."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from job_events.fold import STATUSES
from job_tracker.domain.list_plans import JOB_LISTS, MAX_RANGES, plan_list

DOC = Path(__file__).parents[3] / "docs" / "howto" / "lists.md"
VALUES = {
    "tenant": ["demo"],
    "account": ["shop"],
    "job_type": ["PRODUCT_SYNC", "CUSTOMER_SYNC"],
    "status": ["FAILED", "RUNNING"],
    "chain": ["c"],
    "parent": ["p"],
    "retry_of": ["r"],
}
NAMES = {"type": "job_type"}


def test_the_doc_holds_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| (none|`[^|]+) \| `(job_\w+)` \| (.+) \|$", DOC.read_text(), re.MULTILINE)
    written = [
        (tuple(NAMES.get(name, name) for name in re.findall(r"`(\w+)`", filters)), index, how)
        for filters, index, how in rows
    ]
    assert [(filters, index) for filters, index, _ in written] == [(one.filters, one.index) for one in JOB_LISTS]
    for (filters, _, how), one in zip(written, JOB_LISTS, strict=True):
        merged = bool(one.each) or bool({"status", "job_type"} & set(filters))
        assert ("merged" in how) == merged, filters


@pytest.mark.parametrize("served", JOB_LISTS, ids=lambda one: "+".join(one.filters) or "none")
def test_a_supported_list_needs_no_scan(served: object) -> None:
    one = next(each for each in JOB_LISTS if each is served)
    plan = plan_list(JOB_LISTS, {column: VALUES[column] for column in one.filters})
    assert plan.served is one
    assert not plan.bounded
    assert not plan.rest
    merged = [dict(fixed) for fixed in plan.ranges]
    assert len(merged) == len({tuple(sorted(fixed.items())) for fixed in merged})
    for fixed in merged:
        assert set(fixed) == {*one.filters, *(column for column, _ in one.each)}


def test_each_value_is_a_range() -> None:
    plan = plan_list(JOB_LISTS, {"tenant": ["demo"], "job_type": ["A", "B", "A"], "status": ["FAILED", "RUNNING"]})
    assert [dict(fixed) for fixed in plan.ranges] == [
        {"tenant": "demo", "job_type": job_type, "status": status}
        for job_type in ("A", "B")
        for status in ("FAILED", "RUNNING")
    ]
    whole = plan_list(JOB_LISTS, {"tenant": ["demo"]})
    assert [fixed["status"] for fixed in whole.ranges] == list(STATUSES)


@pytest.mark.parametrize(
    ("filters", "index", "rest"),
    [
        (("status",), "job_newest", {"status"}),
        (("job_type", "account"), "job_newest", {"job_type", "account"}),
        (("tenant", "account", "job_type"), "job_by_account", {"job_type"}),
        (("tenant", "account", "job_type", "status"), "job_by_account", {"job_type"}),
        (("tenant", "chain"), "job_by_chain", {"tenant"}),
        (("status", "tenant", "parent"), "job_by_parent", {"status", "tenant"}),
    ],
)
def test_other_lists_scan_the_narrowest_around_them(filters: tuple[str, ...], index: str, rest: set[str]) -> None:
    plan = plan_list(JOB_LISTS, {column: VALUES[column] for column in filters})
    assert plan.served.index == index
    assert set(plan.rest) == rest
    assert plan.bounded


def test_text_is_always_a_scan_of_the_list_it_is_searched_in() -> None:
    plan = plan_list(JOB_LISTS, {"tenant": ["demo"], "status": ["FAILED"]}, searched=True)
    assert (plan.served.index, dict(plan.rest), plan.bounded) == ("job_by_status", {}, True)


def test_too_many_ranges_are_scanned_instead() -> None:
    types = [f"TYPE_{number}" for number in range(MAX_RANGES)]
    plan = plan_list(JOB_LISTS, {"tenant": ["demo"], "job_type": types, "status": ["FAILED"]})
    assert (plan.served.index, plan.bounded) == ("job_by_type", False)
    plan = plan_list(JOB_LISTS, {"tenant": ["demo"], "job_type": types, "status": ["FAILED", "RUNNING"]})
    assert (plan.served.filters, set(plan.rest)) == (("tenant", "status"), {"job_type"})


def test_every_question_has_a_plan_that_forgets_no_filter() -> None:
    for size in range(len(VALUES) + 1):
        for filters in combinations(VALUES, size):
            plan = plan_list(JOB_LISTS, {column: VALUES[column] for column in filters})
            assert {*plan.served.filters, *plan.rest} == set(filters)
            assert len(plan.ranges) <= MAX_RANGES
            assert plan.bounded == (
                filters not in {tuple(sorted(one.filters, key=list(VALUES).index)) for one in JOB_LISTS}
            )
