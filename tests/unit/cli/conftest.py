"""The command as a person calls it, with an API that answers from a function."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from jobtrail.main import main

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call of the command ended, and what it said."""

    code: int | str | None
    out: str
    err: str


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Sets what answers every request: api(function)."""

    def answer_with(answer: Answer) -> None:
        monkeypatch.setenv("JOBTRAIL_API", "http://tracker.test")
        monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))

    return answer_with


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Calls the command: run("jobs", "list")."""

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["jobtrail", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Outcome(ended.value.code, said.out, said.err)

    return call


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """Makes a job as the API tells it: job(account=…, status=…)."""

    def make(**fields: Any) -> dict[str, Any]:
        counters = {"total": None, "processed": 0, "failed": 0, "skipped": 0}
        usual = {
            "job_id": "job-1",
            "type": "PRODUCT_PULL",
            "account": "lan-shop",
            "status": "COMPLETED",
            "state": "finished",
            "outcome": "success",
            "error_category": "",
            "created_at": "2026-01-02T03:04:05.678901Z",
            "counters": counters,
        }
        return usual | fields

    return make
