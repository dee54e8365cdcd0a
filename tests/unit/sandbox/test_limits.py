"""Rate limits, under a clock of the test's own."""

from sandbox.limits import CallWindows, CostBuckets
from sandbox.shops import NhanhSettings, ShopifySettings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_nhanh_counts_locks_and_grows() -> None:
    clock = Clock()
    windows, settings = CallWindows(clock), NhanhSettings()
    assert all(windows.take("a", settings) is None for _ in range(150))
    first = windows.take("a", settings)
    assert first is not None
    assert (first.seconds, first.until) == (10, 1010)
    clock.now = 1002
    second = windows.take("a", settings)
    assert second is not None
    assert second.until == 1015
    assert windows.take("b", settings) is None
    clock.now = 1015
    assert windows.take("a", settings) is None


def test_nhanh_windows_start_anew() -> None:
    clock = Clock()
    windows, settings = CallWindows(clock), NhanhSettings(calls=2)
    for moment in (1000.0, 1001.0, 1030.0, 1031.0):
        clock.now = moment
        assert windows.take("a", settings) is None
    assert windows.take("a", settings) is not None


def test_shopify_leaks_refunds_and_never_overfills() -> None:
    clock = Clock()
    buckets, settings = CostBuckets(clock), ShopifySettings()
    assert buckets.take("s", 1500, settings)
    assert not buckets.take("s", 600, settings)
    buckets.refund("s", 200, settings)
    assert buckets.status("s", settings)["currentlyAvailable"] == 700
    clock.now += 3
    assert buckets.status("s", settings)["currentlyAvailable"] == 1000
    clock.now += 3600
    assert buckets.status("s", settings)["currentlyAvailable"] == 2000
