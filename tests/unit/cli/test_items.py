"""What happened item by item, and what a dry run would have done."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

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
