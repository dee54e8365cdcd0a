"""Where a window of an incremental pull ends, and how a long one is cut."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platforms.connections import Connection
from puller.store.marks import mark_scope
from puller.windows import earliest, spans

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TIMES = st.integers(0, 400 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))


def test_the_earlier_clock_counts() -> None:
    for aside in (-90, 90, 10**8):
        theirs = NOW + timedelta(seconds=aside)
        assert earliest(NOW, theirs) == min(NOW, theirs)
    assert earliest(NOW, None) == NOW


@given(TIMES, TIMES, st.integers(1, 31).map(lambda days: timedelta(days=days)))
def test_spans_cover_the_window_and_none_is_too_long(one: datetime, other: datetime, longest: timedelta) -> None:
    since, until = sorted([one, other])
    found = spans(since, until, longest)
    assert (found[0][0], found[-1][1]) == (since, until)
    assert all(timedelta() <= end - begin <= longest for begin, end in found)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))


def test_a_new_token_keeps_the_mark_and_another_shop_has_none() -> None:
    def scope(base_url: str = "https://pos", business: str = "1", token: str = "a") -> str:  # noqa: S107 - no password
        credentials = {"app_id": "9", "business_id": business, "access_token": token}
        return mark_scope(Connection("t", "a", "nhanh", base_url, credentials), "products").shop

    assert scope() == scope(token="b")
    assert len({scope(), scope(business="2"), scope(base_url="https://other")}) == 3
    assert "b" not in scope(token="b").split("=")
