"""A pull that is killed or stopped goes on where it was, and its numbers come out right."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

PAGES_BEFORE = 3


def _pages_of(world: Any, job_id: str) -> int:
    if world.rows("select from pg_class where oid = to_regclass('puller.inbox')") == []:
        return 0  # the worker is still making its schema
    rows = world.rows("select (cursor ->> 'pages')::int as pages from puller.inbox where job_id = %(job)s", job=job_id)
    return (rows[0]["pages"] or 0) if rows else 0


def _begin(world: Any, names: list[str]) -> dict[str, str]:
    """Pulls of so many, so slow pages that they can be caught in their middle."""
    _slow(world, 1)
    jobs = {name: world.request(name, page_size=2) for name in names}
    for name, job_id in jobs.items():
        world.wait_until(lambda job_id=job_id: _pages_of(world, job_id) >= PAGES_BEFORE, message=f"{name} is under way")
    return jobs


def _slow(world: Any, seconds: float) -> None:
    for platform in ("nhanh", "shopify"):
        world.sandbox.fault(platform, world.account, "slow", seconds=seconds)


def _starts_over(entry: dict[str, Any]) -> bool:
    """Whether a logged request asks for the first page of a list."""
    body = entry["body"] if isinstance(entry["body"], dict) else json.loads(entry["body"])
    if entry["platform"] == "nhanh":
        return "next" not in body["paginator"]
    return body["variables"].get("after") is None and "first" in body["variables"]


def _assert_whole(world: Any, jobs: dict[str, str], held: dict[str, int]) -> None:
    for name, job_id in jobs.items():
        data = world.finished(job_id).data
        assert (data.outcome, data.error) == ("success", None), name
        assert data.attempt == 2, name
        assert data.counters.successful == data.counters.processed == held[name], name
        assert data.metadata["created"] == held[name], name
        assert data.metadata["updated"] == data.metadata["unchanged"] == data.metadata["gone"] == 0, name
        _, platform, kind = name.lower().rstrip("s").split("_")
        stored = world.rows(
            "select count(*)::int as n from puller.record where account = %(account)s and platform = %(platform)s "
            "and kind = %(kind)s",
            platform=platform,
            kind=kind,
        )
        assert stored[0]["n"] == held[name], name


def _progress(world: Any, job_id: str) -> list[Any]:
    return [event.data for event in world.seen(job_id) if type(event).__name__ == "Progress"]


def _assert_counters_never_fell(world: Any, job_id: str) -> None:
    progress = _progress(world, job_id)
    progress.sort(key=lambda data: (data.attempt, data.seq))
    processed = [data.counters.processed for data in progress]
    assert processed == sorted(processed)
    assert {data.attempt for data in progress} == {1, 2}


@pytest.mark.long
def test_after_sigkill_another_worker_resumes_from_the_cursor(world: Any, puller: Callable[[], Any]) -> None:
    held = world.held()
    with puller() as process:
        jobs = _begin(world, list(held))
        _slow(world, 3600)  # nobody moves until the signs of life have arrived
        world.wait_until(lambda: all(_progress(world, job_id) for job_id in jobs.values()), message="no sign of life")
        process.send_signal(signal.SIGKILL)
        process.wait()
    world.sandbox.clear_faults()
    sent = {platform: len(world.sandbox.requests(world.account, platform)) for platform in ("nhanh", "shopify")}
    unfinished = world.rows("select job_id from puller.inbox where state = 'running'")
    assert {row["job_id"] for row in unfinished} == set(jobs.values())
    with puller():
        _assert_whole(world, jobs, held)
        for job_id in jobs.values():
            _assert_counters_never_fell(world, job_id)
    for platform, before in sent.items():
        later = world.sandbox.requests(world.account, platform)[before:]
        assert later
        assert not [entry for entry in later if _starts_over(entry)]
        # The walk's own test: the requests before the kill did begin with a first page each.
        assert sum(map(_starts_over, world.sandbox.requests(world.account, platform)[:before])) == 2


def test_sigterm_returns_the_job_at_its_checkpoint(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        jobs = _begin(world, ["PULL_NHANH_PRODUCTS"])
    rows = world.rows("select state, lease_owner from puller.inbox")
    assert rows == [{"state": "queued", "lease_owner": None}]
    world.sandbox.clear_faults()
    with puller():
        _assert_whole(world, jobs, world.held())
