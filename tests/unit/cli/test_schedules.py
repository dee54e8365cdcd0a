"""`jobtrail schedules` sends what was asked for, and says what is wrong before it asks the API."""

import json
from typing import Any

import httpx
import pytest

SCHEDULE = {
    "schedule_id": "s-1",
    "tenant": "default",
    "account": None,
    "type": None,
    "chain": "incremental",
    "words": "Every 15 minutes",
    "paused": False,
    "paused_reason": "",
    "catch_up": "one",
    "next_runs": ["2026-12-01T02:30:00+07:00", "2026-12-02T02:30:00+07:00"],
}
RUN = {"account": "lan-shop", "planned_at": "2026-11-30T19:30:00Z", "reason": ""}
JOB = {"job_id": "job-1", "type": "INCREMENTAL_PULL", "status": "COMPLETED"}


def test_add_sends_the_schedule_and_shows_its_next_runs(api: Any, run: Any) -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(201, json={"schedule": SCHEDULE})

    api(answer)
    options = ["--all-accounts", "--every", "15min", "--jitter", "90s", "--catch-up", "all", "--catch-up-limit", "3"]
    ended = run("schedules", "add", "incremental", *options, "--timezone", "Asia/Saigon")
    body = {"tenant": "default", "account": None, "chain": "incremental", "params": {}, "every_seconds": 900}
    body |= {"jitter_seconds": 90, "catch_up": "all", "catch_up_limit": 3, "timezone": "Asia/Saigon"}
    assert sent == [("POST", "/schedules", body)]
    assert "s-1" in ended.out and "chain incremental of default/all accounts" in ended.out
    assert "Tue 2026-12-01 02:30:00+0700, Wed 2026-12-02 02:30:00+0700" in ended.out
    run("schedules", "add", "PRODUCT_SYNC", "--account", "a", "--cron", "30 2 * * *", "--params", '{"dry_run": true}')
    assert sent[1][2] == {
        "tenant": "default",
        "account": "a",
        "type": "PRODUCT_SYNC",
        "params": {"dry_run": True},
        "cron": "30 2 * * *",
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--every", "1h"], "--account NAME or --all-accounts"),
        (["--every", "1h", "--account", "a", "--all-accounts"], "--account NAME or --all-accounts"),
        (["--account", "a"], "--cron"),
        (["--account", "a", "--cron", "* * * * *", "--every", "1h"], "--cron"),
        (["--account", "a", "--every", "soon"], "--every is 'soon'"),
        (["--account", "a", "--every", "1h", "--jitter", "-5s"], "--jitter is '-5s'"),
    ],
)
def test_a_wrong_option_is_said_in_a_sentence(api: Any, run: Any, options: list[str], sentence: str) -> None:
    api(lambda _: httpx.Response(500))
    ended = run("schedules", "add", "sales", *options)
    assert ended.code == 1
    assert sentence in ended.err and ended.err.count("\n") == 1


def test_show_tells_what_became_of_the_last_runs_and_that_no_scheduler_works(api: Any, run: Any) -> None:
    runs = [
        RUN | {"state": "sent", "jobs": [JOB]},
        RUN | {"account": "", "state": "skipped", "reason": "missed", "jobs": []},
    ]
    paused = SCHEDULE | {"paused": True, "paused_reason": "stocktaking", "next_runs": []}
    api(lambda _: httpx.Response(200, json={"schedule": paused, "runs": runs, "scheduler": {"alive": False}}))
    ended = run("schedules", "show", "s-1")
    assert ended.code in (None, 0)
    for words in ("INCREMENTAL_PULL COMPLETED job-1", "skipped: missed", "all accounts", "Paused: stocktaking"):
        assert words in ended.out
    assert "No scheduler is at work" in ended.err


def test_pause_resume_and_delete_name_the_schedule(api: Any, run: Any) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(200, json={"schedule": SCHEDULE})

    api(answer)
    for words in (["pause", "s/1", "--reason", "x"], ["resume", "s-1"], ["delete", "s-1"]):
        assert run("schedules", *words).code in (None, 0)
    assert sent == ["POST /schedules/s%2F1/pause", "POST /schedules/s-1/resume", "DELETE /schedules/s-1"]
