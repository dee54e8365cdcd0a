"""How each platform is asked for changes, and what a client knows of the platform's clock."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest

from platforms.adapter import ChangedPages
from platforms.connections import Connection
from platforms.http import HttpCaller
from platforms.registry import platform

SINCE = datetime(2026, 11, 30, 3, 0, 0, 700_000, tzinfo=UTC)
CREDENTIALS = {"app_id": "1", "business_id": "2", "access_token": "t"}


def changes(name: str, kind: Any, since: datetime | None) -> ChangedPages:
    source = platform(name).pulls[kind].changed
    assert source is not None
    unused = cast("Any", None)
    return source(Connection("t", "a", name, "http://127.0.0.1:1", CREDENTIALS), since, unused, unused)


@pytest.mark.parametrize(
    ("name", "kind", "asked"),
    [
        ("nhanh", "product", {"filters": {"updatedAtFrom": 1796007600}}),
        ("nhanh", "customer", {"filters": {"updatedAtFrom": 1796007600}}),
        ("shopify", "product", {"query": "updated_at:>='2026-11-30T03:00:00Z'"}),
        # A whole day, in a shop's time zone that nobody tells: 03:00 UTC is still the day before in the Americas.
        ("shopify", "customer", {"query": "updated_at:>='2026-11-29'"}),
    ],
)
def test_a_second_is_asked_for_as_a_whole(name: str, kind: Any, asked: dict[str, Any]) -> None:
    assert changes(name, kind, SINCE).asked == asked
    assert changes(name, kind, None).asked == {}


def test_only_nhanh_lists_changes_of_stock_apart() -> None:
    assert platform("nhanh").stock is not None
    assert platform("shopify").stock is None


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 30 Nov 2026 03:00:00 GMT"])
def test_the_platforms_clock_is_that_of_the_first_answer_with_a_date(date: str | None) -> None:
    answers = iter([date, "Tue, 01 Dec 2026 00:00:00 GMT"])

    def answer(_request: httpx.Request) -> httpx.Response:
        shown = next(answers)
        return httpx.Response(200, headers={} if shown is None else {"Date": shown}, text="{}")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    connection = Connection("t", "a", "nhanh", "http://127.0.0.1:1", CREDENTIALS)
    caller = HttpCaller(connection, clock=lambda: 0.0, http=http, on_exchange=None)
    for _ in range(2):
        caller.post("http://127.0.0.1:1/x", b"{}", headers={})
    readable = date is not None and date.startswith("Mon")
    expected = datetime(2026, 11, 30, 3, tzinfo=UTC) if readable else datetime(2026, 12, 1, tzinfo=UTC)
    assert caller.served_from is not None
    assert timedelta() <= expected - caller.served_from < timedelta(seconds=30)
