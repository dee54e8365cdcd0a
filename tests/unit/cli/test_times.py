"""Moments as people type them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobtrail.errors import UserError
from jobtrail.options import moment, span

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("90min", timedelta(minutes=90)),
        ("5m", timedelta(minutes=5)),
        (" 1w ", timedelta(weeks=1)),
        ("0s", timedelta(0)),
    ],
)
def test_how_long_ago(text: str, ago: timedelta) -> None:
    assert moment(text, "--since", NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-30T08:00:00Z", datetime(2026, 11, 30, 8, tzinfo=UTC)),
        ("2026-11-30T08:00+07:00", datetime(2026, 11, 30, 1, tzinfo=UTC)),
        ("2026-11-30", datetime(2026, 11, 30).astimezone(UTC)),
        ("2026-11-30 08:00", datetime(2026, 11, 30, 8).astimezone(UTC)),
    ],
)
def test_iso(text: str, at: datetime) -> None:
    assert moment(text, "--since", NOW) == at


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2 fortnights", "-3d", "999999999w", "2026-13-01", "0001-01-01T00:00+14:00", "2h ago"]
)
def test_an_invalid_moment_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--until is .* it takes an ISO date"):
        moment(text, "--until", NOW)


def test_a_span_must_end_after_its_start() -> None:
    assert span("3d", "2d", NOW) == (NOW - timedelta(days=3), NOW - timedelta(days=2))
    assert span(None, None, NOW) == (None, None)
    with pytest.raises(UserError, match="--since 2d must lie before --until 3d"):
        span("2d", "3d", NOW)


def test_commands_send_the_given_moments(api: Any, run: Any) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        stats = {"by_status": {}, "by_type": [], "success_rate": None}
        empty: dict[str, Any] = {"jobs": [], "total_text": "0", "partial": False, "next": None}
        return httpx.Response(200, json=empty if request.url.path == "/jobs" else stats | {"jobs": 0})

    api(answer)
    words = (
        "--health",
        "late",
        "--health",
        "lost",
        "--since",
        "2026-01-01T00:00Z",
        "--until",
        "2026-01-02T07:00+07:00",
    )
    assert run("jobs", "list", *words).code in (None, 0)
    assert asked[0].params.get_list("health") == ["late", "lost"]
    assert asked[0].params["from"] == "2026-01-01T00:00:00+00:00"
    assert asked[0].params["to"] == "2026-01-02T00:00:00+00:00"
    assert run("stats", "--since", "2026-01-01T00:00Z", "--tenant", "demo").code in (None, 0)
    assert dict(asked[1].params) == {"from": "2026-01-01", "tenant": "demo"}
    assert run("jobs", "list", "--since", "soon").code == 1


def test_commands_to_queues_accounts_and_jobs(api: Any, run: Any) -> None:
    asked: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url.raw_path, "ascii"), request.content))
        return httpx.Response(202, json={"token": "t"})

    api(answer)
    why = ("--reason", "stocktaking")
    for command in (
        ("queues", "pause", "syncer", *why),
        ("queues", "resume", "syncer", *why),
        ("accounts", "pause", "lan shop", "--tenant", "a/b", *why),
        ("accounts", "resume", "lan-shop", *why),
        ("jobs", "delete", "job-1", *why),
    ):
        ended = run(*command)
        assert ended.code in (None, 0) and ended.out.startswith("Requested: ")
    said = b'{"reason":"stocktaking"}'
    assert asked == [
        ("POST", "/queues/syncer/pause", said),
        ("POST", "/queues/syncer/resume", said),
        ("POST", "/accounts/a%2Fb/lan%20shop/pause", said),
        ("POST", "/accounts/default/lan-shop/resume", said),
        ("DELETE", "/jobs/job-1?reason=stocktaking", b""),
    ]
    refused = run("queues", "pause", "kitchen")
    assert (refused.code, refused.err) == (
        1,
        "Unknown service 'kitchen'; known are puller, matcher, syncer\n",
    )
