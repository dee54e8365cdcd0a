"""A timeline is shown over as many pages as it takes, and says where it ends too early."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Make = Callable[..., dict[str, Any]]


def history(job: dict[str, Any], count: int, exact: bool = True) -> Callable[[httpx.Request], httpx.Response]:
    """An API whose job has so many events, and that gives at most 200 at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json={"job": job})
        limit, first = int(request.url.params["limit"]), int(request.url.params.get("cursor", 0))
        assert 1 <= limit <= 200
        end = min(first + limit, count)
        events = [
            {"time": f"t{n:05}.", "type": "[/progress]", "seq": n, "verdict": "applied"} for n in range(first, end)
        ]
        following = str(end) if end < count else None
        return httpx.Response(200, json={"events": events, "next": following, "total": count, "total_exact": exact})

    return answer


@pytest.mark.parametrize("count", [0, 1, 200, 201, 1000])
def test_all_events_up_to_a_thousand_are_shown(api: Any, run: Any, job: Make, count: int) -> None:
    api(history(job(), count))
    ended = run("jobs", "show", "job-1")
    assert ended.code == 0
    assert [f"t{n:05}." in ended.out for n in range(count + 1)] == [True] * count + [False]
    assert "events shown" not in ended.out


@pytest.mark.parametrize(("exact", "total"), [(True, "1,234"), (False, "more than 1,234")])
def test_of_more_the_first_thousand_are_shown_and_said(api: Any, run: Any, job: Make, exact: bool, total: str) -> None:
    api(history(job(), 1234, exact))
    ended = run("jobs", "show", "job-1")
    assert ended.out.count("[/progress]") == 1000
    assert ended.out.endswith(f"1,000 of {total} events shown\n")
