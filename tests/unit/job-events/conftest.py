"""An oracle for the fold that shares no code with it: JSON in, a dict out, written from the contract's text."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Row = dict[str, Any]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _oracle(lines: Iterable[bytes]) -> dict[str, Row]:
    jobs: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        event = json.loads(line)
        jobs.setdefault(event["subject"], []).append(event)
    return {job_id: _row(events) for job_id, events in jobs.items()}


def _row(events: list[dict[str, Any]]) -> Row:
    deleted = [(e["time"], e["id"]) for e in events if e["type"] == "job.deleted.v1"]
    if deleted:
        nothing = dict.fromkeys(("outcome", "counters", "metadata", "request", "phase"))
        return {"state": "deleted", "attempt": 0, "deletion": min(deleted), **nothing}

    def greatest(kind: str) -> dict[str, Any] | None:
        found = [e for e in events if e["type"] == f"job.{kind}.v1"]
        # The value that ties are decided by is what the register shows: its time and its own data.
        shown = {
            "started": ("worker", "total"),
            "progress": ("phase", "counters", "metadata"),
            "finished": ("outcome", "counters", "metadata", "error", "duration_ms", "then"),
        }[kind]

        def rank(e: dict[str, Any]) -> tuple[int, int, bytes]:
            value = {"at": e["time"], **{name: e["data"].get(name) for name in shown}}
            return e["data"]["attempt"], e["data"]["seq"], _canonical(value)

        return max(found, key=rank, default=None)

    asked: list[tuple[str, str, dict[str, Any]]] = []
    for e in events:
        if e["type"] == "job.requested.v1":
            asked.append((e["time"], e["id"], {**e, "asked": e["data"]}))
        elif e["type"] == "job.started.v1":
            asked.append(
                (e["data"]["request"]["time"], e["data"]["request"]["id"], {**e, "asked": e["data"]["request"]})
            )
    start, progress, end = greatest("started"), greatest("progress"), greatest("finished")
    shown = end or progress
    return {
        "state": "finished" if end else "running" if start or progress else "queued",
        "outcome": end["data"]["outcome"] if end else None,
        "attempt": max((e["data"].get("attempt", 0) for e in events), default=0),
        "counters": shown["data"]["counters"] if shown else None,
        "metadata": shown["data"]["metadata"] if shown else None,
        "request": min(((time, id_) for time, id_, _ in asked), default=None),
        "phase": progress["data"]["phase"] if progress else None,
        "deletion": None,
    }


@pytest.fixture(scope="session")
def oracle() -> Callable[[Iterable[bytes]], dict[str, Row]]:
    return _oracle
