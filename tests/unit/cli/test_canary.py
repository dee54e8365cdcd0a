"""`jobs verify` against a tracker that shows a good chain, and against one that is wrong in one thing."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from jobtrail.canary import STEPS, run_canary
from jobtrail.tracker import Tracker

Json = dict[str, Any]
FRESH = {"as_of": "2026-01-02T03:04:05Z", "lag_events": 0, "lag_seconds": 0.1, "alive": True}
CHAIN = "chain-1"
KINDS = ("job.requested.v1", "job.started.v1", "job.progress.v1", "job.finished.v1")


class Shown:
    """What the tracker shows of the chain; a test changes it."""

    def __init__(self, job: Callable[..., Json]) -> None:
        self.freshness: Json = dict(FRESH)
        self.jobs: list[Json] = []
        self.events: dict[str, list[Json]] = {}
        self.items: dict[str, list[Json]] = {}
        self.queues: list[Json] = []
        self.cancelled: list[str] = []
        for number, step in enumerate(STEPS):
            job_id = f"job-{number}"
            counters = {
                "total": step.items,
                "processed": step.items,
                "successful": step.items - step.failed,
                "failed": step.failed,
                "skipped": 0,
            }
            parent = f"job-{number - 1}" if number else None
            fields = {"type": step.job_type, "outcome": step.outcome, "counters": counters}
            self.jobs.append(job(job_id=job_id, chain=CHAIN, parent=parent, **fields))
            self.events[job_id] = [
                {"time": "now", "type": kind, "verdict": "applied", "attempt": 1 if seq else None, "seq": seq or None}
                for seq, kind in enumerate(KINDS)
            ]
            self.items[job_id] = [
                {"item": f"item-{number}", "action": "failed", "changes": []} for number in range(step.failed)
            ]

    def rename(self, old: str, new: str) -> None:
        self.events[new], self.items[new] = self.events[old], self.items[old]
        self.jobs[0].update(job_id=new)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST":
            if path.endswith("/cancel"):
                self.cancelled.append(path.split("/")[2])
            return httpx.Response(202, json={"job_id": "job-0", "chain": CHAIN, "token": "t"})
        page: Json = {"next": None, "total": 9, "total_text": "9", "total_exact": True, "freshness": self.freshness}
        if path == "/queues":
            return httpx.Response(200, json={"queues": self.queues})
        if path == "/jobs":
            assert request.url.params["chain"] == CHAIN
            return httpx.Response(200, json=page | {"jobs": self.jobs})
        _, _, job_id, part = path.split("/")
        return httpx.Response(200, json=page | {part: getattr(self, part)[job_id]})


@pytest.fixture
def shown(job: Callable[..., Json], api: Any) -> Shown:
    made = Shown(job)
    api(made.answer)
    return made


def test_a_good_chain_passes(shown: Shown, run: Any) -> None:
    assert len(shown.jobs) == 3
    ended = run("jobs", "verify")
    assert ended.code == 0, ended.err
    assert "All 19 checks passed" in ended.out
    assert shown.cancelled == []


BREAKS: dict[str, tuple[Callable[[Shown], object], str]] = {
    "outcome": (lambda s: s.jobs[1].update(outcome="partial"), "SIMULATE_MATCH outcome: partial, not success"),
    "counters": (lambda s: s.jobs[2]["counters"].update(successful=16), "SIMULATE_SYNC counters: total 20;"),
    "lost items": (lambda s: s.items["job-0"].pop(), "SIMULATE_PULL failed items: 3, not 4"),
    "doubled items": (lambda s: s.items["job-2"][0].update(item="item-1"), "SIMULATE_SYNC failed items: ['item-1'"),
    "order": (lambda s: s.events["job-1"].reverse(), "SIMULATE_MATCH timeline: finished, progress"),
    "two ends": (lambda s: s.events["job-1"].append(s.events["job-1"][-1]), "SIMULATE_MATCH timeline: "),
    "no start": (lambda s: s.events["job-1"].pop(1), "SIMULATE_MATCH timeline: requested, progress, finished"),
    "no event": (lambda s: s.events["job-1"].clear(), "SIMULATE_MATCH timeline: no event"),
    "chain": (lambda s: s.jobs[2].update(chain="other"), "SIMULATE_SYNC chain: chain other, not chain-1"),
    "parent": (lambda s: s.jobs[2].update(parent="job-0"), "SIMULATE_SYNC chain: follows job-0, not job-1"),
    "another job": (lambda s: s.rename("job-0", "job-9"), "SIMULATE_PULL chain: is job-9, not job-0"),
    "stale": (lambda s: s.freshness.update(lag_seconds=30.0), "job table freshness: as of"),
    "no projector": (lambda s: s.freshness.update(alive=False), "no projector runs"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_whatever_is_wrong_is_named(shown: Shown, name: str, api: Any, run: Any) -> None:
    spoil, said = BREAKS[name]
    spoil(shown)
    ended = run("jobs", "verify", "--timeout", "1")
    assert ended.code == 1
    assert said in ended.err, ended.err
    assert "failed" in ended.out


def test_a_job_that_does_not_end_is_named_with_its_queue_and_cancelled(shown: Shown) -> None:
    shown.jobs[1].update(state="queued", outcome=None, health="paused")
    shown.jobs.pop()
    hold = {"kind": "queue", "tenant": "", "account": "", "requested_by": "Lan", "since": "now", "reason": "stock"}
    shown.queues = [{"service": "puller", "holds": [hold]}, {"service": "matcher", "holds": [hold]}]
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    checks = run_canary(Tracker("http://tracker.test"), "canary", "canary", 30, lambda: now, wait)
    assert 30 <= now < 31
    wrong = [check for check in checks if not check.passed]
    assert [(check.job, check.name) for check in wrong] == [("SIMULATE_MATCH", "state")]
    assert wrong[0].detail == (
        "is queued (health: paused) after 30 s; the queue of matcher is paused: whole queue since now, by Lan: stock"
    )
    assert shown.cancelled == ["job-1"]


def test_a_chain_that_never_arrives(shown: Shown, run: Any) -> None:
    shown.jobs = []
    shown.queues = [{"service": "puller", "available": False, "holds": []}]
    ended = run("jobs", "verify", "--timeout", "1")
    assert ended.code == 1
    assert "SIMULATE_PULL state: is not in the table after 1 s; puller has never started" in ended.err


def test_a_simulation_is_requested(api: Any, run: Any) -> None:
    bodies: list[Json] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(202, json={"job_id": "job-1"})

    api(answer)
    options = ("--service", "syncer", "--items", "5", "--per-second", "0", "--failed", "0.2", "--outcome", "failure")
    assert run("jobs", "simulate", *options).code == 0
    params = {"items": 5, "per_second": 0.0, "failed": 0.2, "outcome": "failure"}
    assert bodies == [{"type": "SIMULATE_SYNC", "tenant": "canary", "account": "canary", "params": params}]
    assert run("jobs", "simulate", "--service", "baker").code == 1
