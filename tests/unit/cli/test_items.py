"""What happened item by item, and what a dry run would have done."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rich.console import Console

from jobtrail.items_table import items_table
from jobtrail.tables import details_text

Make = Callable[..., dict[str, Any]]
CHANGES = [{"name": "price", "before": "90000", "after": "[/b]1:x:"}, {"name": "stock", "before": None, "after": "3"}]
ERROR = {"category": "CONFLICT", "code": "KEPT", "message": "title was kept"}


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {"item": f"variant-{number:05}", "action": "would_update", "changes": [], "error": None} | fields


def items(count: int, **fields: Any) -> Callable[[httpx.Request], httpx.Response]:
    """An API whose job has so many items, and that gives at most 200 at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/jobs/job-1/items"
        limit, first = int(request.url.params["limit"]), int(request.url.params.get("cursor", 0))
        assert 1 <= limit <= 200
        end = min(first + limit, count)
        shown = [item(number, **fields) for number in range(first, end)]
        return httpx.Response(200, json={"items": shown, "next": str(end) if end < count else None})

    return answer


def test_changes_and_errors_are_shown_as_they_are(api: Any, run: Any) -> None:
    api(items(1, changes=CHANGES, error=ERROR))
    ended = run("jobs", "items", "job-1")
    assert ended.code == 0
    for said in ("variant-00000", "would_update", "price: 90000 → [/b]1:x:", "stock: nothing → 3", "CONFLICT: title"):
        assert said in ended.out


def test_a_drift_says_since_when_and_who_wrote_last(api: Any, run: Any) -> None:
    api(items(1, changes=CHANGES[:1], about={"since": "2026-11-01T08:00:00Z", "last_write": "other"}))
    said = " ".join(run("jobs", "items", "job-1").out.split())
    assert "differs since" in said
    assert "last write: other" in said


@pytest.mark.parametrize(
    ("count", "limit", "shown", "said"),
    [
        (0, [], 0, "0 items shown\n"),
        (100, [], 100, "100 items shown\n"),
        (101, [], 100, "100 items shown; there are more: --limit\n"),
        (450, ["--limit", "450"], 450, "450 items shown\n"),
        (450, ["--limit", "201"], 201, "201 items shown; there are more: --limit\n"),
    ],
)
def test_as_many_are_shown_as_were_asked_for(
    api: Any, run: Any, count: int, limit: list[str], shown: int, said: str
) -> None:
    api(items(count))
    ended = run("jobs", "items", "job-1", *limit)
    assert ended.out.count("variant-") == shown
    assert ended.out.endswith(said)


def test_the_result_of_a_dry_run_is_among_the_details(job: Make) -> None:
    assert details_text(job(metadata={"updated": 0, "wouldUpdate": 7})) == "updated 0, wouldUpdate 7"


PAIR = {
    "item": "product/504",
    "action": "skipped",
    "ids": {"nhanh": "504", "shopify": "gid://shopify/ProductVariant/9007"},
    "about": {
        "title": "Nồi cơm điện Sharp 1.8L",
        "sku": "NC1",
        "linked_by": "barcode",
        "note": "name and e-mail differ",
    },
    "changes": [
        {"name": "price", "before": "900000", "after": "90000"},
        {"name": "stock@gid://shopify/Location/77", "before": "31", "after": "38"},
    ],
    "held": "the price falls to a tenth",
}


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_change_is_read_with_what_it_concerns_and_why_it_is_held(width: int) -> None:
    console = Console(width=width, record=True)
    console.print(items_table([item(1, **PAIR)]))
    said = console.export_text()
    for words in (
        *("Nồi cơm điện Sharp", "SKU NC1", "shopify 9007", "linked by barcode", "product/504", "HELD"),
        *("price: 900000 → 90000", "stock@77: 31 → 38", "held: the price falls", "name and e-mail differ"),
    ):
        assert words in said
    assert "skipped" not in said and "gid:" not in said
    assert max(map(len, said.splitlines())) <= width


def test_markup_of_others_is_shown_as_it_is() -> None:
    console = Console(width=120, record=True)
    names = {"title": "[/b]:x:", "sku": "[red]", "linked_by": "[/x]", "note": "[/note]"}
    console.print(items_table([item(1, about=names, held="[/held]", ids={"shopify": "[/id]"})]))
    said = console.export_text()
    for words in ("[/b]:x:", "SKU [red]", "linked by [/x]", "[/note]", "held: [/held]", "shopify [/id]"):
        assert words in said


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], []),
        (["--held"], [("held", "true")]),
        (["--failed"], [("action", "failed")]),
        (["--action", "updated", "--action", "created"], [("action", "updated"), ("action", "created")]),
        (["--failed", "--action", "updated"], [("action", "updated"), ("action", "failed")]),
    ],
)
def test_the_items_that_are_wanted_are_asked_for(
    api: Any, run: Any, options: list[str], asked: list[tuple[str, str]]
) -> None:
    """Pages may be short, and even empty, before the last one."""
    pages = [{"items": [], "next": "1"}, {"items": [item(7)], "next": None}]

    def answer(request: httpx.Request) -> httpx.Response:
        given = [(name, value) for name, value in request.url.params.multi_items() if name in {"held", "action"}]
        assert given == asked
        return httpx.Response(200, json=pages[int(request.url.params.get("cursor", 0))])

    api(answer)
    assert run("jobs", "items", "job-1", *options).out.endswith("1 items shown\n")
