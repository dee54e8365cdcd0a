"""Deleting jobs that are older than a date, and retrying one with other parameters."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
PAGES = [
    {"deleted": 2, "checked": 3, "next": "c1", "total": 5, "total_exact": True},
    {"deleted": 1, "checked": 2, "next": None, "total": 5, "total_exact": True},
]


@pytest.fixture
def sent(api: Any) -> list[tuple[str, Json]]:
    """What the API is sent: the path with the query, and the body."""
    seen: list[tuple[str, Json]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else dict(request.url.params.multi_items())
        seen.append((f"{request.method} {request.url.path}", body))
        if request.url.path == "/jobs/delete":
            return httpx.Response(202, json=PAGES[1 if "cursor" in body else 0])
        page = {"jobs": [], "next": None, "total_text": "1,234", "partial": False}
        return httpx.Response(200, json=page | {"job_id": "job-2"})

    api(answer)
    return seen


def test_old_jobs_are_deleted_to_the_last_page(sent: list[tuple[str, Json]], run: Any) -> None:
    ended = run("jobs", "delete", "--older-than", "90d", "--status", "FAILED", "--account", "lan-shop", "--yes")
    assert ended.code == 0, ended.err
    assert "Deleted 3 jobs that finished before" in ended.out
    assert [path for path, _ in sent] == ["POST /jobs/delete"] * 2
    first, second = (body for _, body in sent)
    assert second == first | {"cursor": "c1"}
    assert (first["status"], first["account"], first["reason"]) == (["FAILED"], "lan-shop", "")
    age = datetime.now(UTC) - datetime.fromisoformat(first["finished_before"])
    assert abs(age - timedelta(days=90)) < timedelta(minutes=5)


@pytest.mark.parametrize(("said", "deletes"), [("y\n", True), ("n\n", False), ("", False)])
def test_without_yes_it_asks_first(
    sent: list[tuple[str, Json]], run: Any, said: str, deletes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import BytesIO, TextIOWrapper

    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(said.encode())))
    ended = run("jobs", "delete", "--older-than", "2026-01-01T00:00:00Z")
    assert "Delete up to 1,234 jobs that finished before 2026-01-01T00:00:00+00:00" in ended.out
    assert ended.code == (0 if deletes else 1)
    assert ("POST /jobs/delete" in [path for path, _ in sent]) == deletes
    assert sent[0][1]["to"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "arguments",
    [(), ("job-1", "--older-than", "90d"), ("job-1", "--status", "FAILED"), ("--older-than", "soon", "--yes")],
)
def test_what_is_unclear_deletes_nothing(sent: list[tuple[str, Json]], run: Any, arguments: tuple[str, ...]) -> None:
    ended = run("jobs", "delete", *arguments)
    assert (ended.code, sent) == (1, [])
    assert len(ended.err.strip().splitlines()) == 1


def test_one_job_is_deleted(sent: list[tuple[str, Json]], run: Any) -> None:
    assert run("jobs", "delete", "job-1", "--reason", "a trial").code == 0
    assert sent == [("DELETE /jobs/job-1", {"reason": "a trial"})]


def test_a_retry_with_other_parameters(sent: list[tuple[str, Json]], run: Any) -> None:
    changed = ("--param", 'only=["7"]', "--param", "dry_run=null", "--param", "query=tag:sale=1", "--param", "page=")
    assert run("jobs", "retry", "job-1", *changed, "--priority", "high").code == 0
    assert run("jobs", "retry", "job-1").code == 0
    params = {"only": ["7"], "dry_run": None, "query": "tag:sale=1", "page": ""}
    assert sent == [
        ("POST /jobs/job-1/retry", {"params": params, "priority": "high"}),
        ("POST /jobs/job-1/retry", {}),
    ]


@pytest.mark.parametrize("param", [("dry_run",), ("=1",), ("a=1", "a=2")])
def test_a_parameter_without_a_name_or_value_is_refused(
    sent: list[tuple[str, Json]], run: Any, param: tuple[str, ...]
) -> None:
    ended = run("jobs", "retry", "job-1", *[word for one in param for word in ("--param", one)])
    assert (ended.code, sent) == (1, [])
