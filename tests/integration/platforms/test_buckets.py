"""Rate limits shared through a real database, on limits small enough to meet in seconds."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

import pytest
from psycopg_pool import ConnectionPool

from platforms.buckets import PointsStatus, RateBuckets, WindowRule
from platforms.migrate import migrate

RULE = WindowRule(limit=15, seconds=1.0, lease_seconds=0.2)


@pytest.fixture
def shared(database_url: str, pool: ConnectionPool) -> Callable[[], RateBuckets]:
    """Makes one more worker's view of the buckets; nothing but the database connects them."""
    migrate(database_url)
    return lambda: RateBuckets(pool, time.time)


def _wait(seconds: float, _reason: str) -> None:
    threading.Event().wait(seconds)


@pytest.fixture
def told() -> defaultdict[int, float]:
    """Seconds that each thread was told to wait, in all. How long it took besides is the machine's affair."""
    return defaultdict(float)


@pytest.fixture
def wait(told: defaultdict[int, float]) -> Callable[[float, str], None]:
    def apply_control(seconds: float, reason: str) -> None:
        told[threading.get_ident()] += seconds
        _wait(seconds, reason)

    return apply_control


def _run(workers: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=worker) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("lease", [1, 4])
def test_workers_together_never_exceed_the_window(
    shared: Callable[[], RateBuckets], told: defaultdict[int, float], wait: Callable[[float, str], None], lease: int
) -> None:
    rule = WindowRule(limit=15, seconds=1.0, lease=lease, lease_seconds=0.2)
    times: list[float] = []

    def work(buckets: RateBuckets) -> None:
        for _ in range(12):
            buckets.take_call("key", rule, wait)
            times.append(time.monotonic())

    views = [shared() for _ in range(4)]
    _run([lambda view=view: work(view) for view in views])
    assert len(times) == 48
    assert max(sum(1 for t in times if start <= t < start + 1.0) for start in times) <= 15
    # As fast as allowed: 15 at once, then 15 more in each 1.2 s; a lease of 4 may leave a few unused.
    assert max(told.values()) < 3 * 1.2 + 1.5


def test_calls_left_in_a_lease_are_given_back(shared: Callable[[], RateBuckets], pool: ConnectionPool) -> None:
    rule = WindowRule(limit=15, seconds=60.0, lease=10, lease_seconds=0.05)
    buckets = shared()
    buckets.take_call("key", rule, _wait)
    _wait(0.06, "let the lease expire")
    buckets.take_call("key", rule, _wait)
    with pool.connection() as db:
        spent = db.execute("select sum(tokens)::int from accounts.rate_lease").fetchone()
    assert spent == (11,)


def test_keys_do_not_share(shared: Callable[[], RateBuckets]) -> None:
    def refuse(_seconds: float, _reason: str) -> None:
        raise AssertionError("nobody has to wait here")

    buckets = shared()
    for number in range(40):
        buckets.take_call(f"key {number % 4}", RULE, refuse)


def test_a_lock_stops_every_worker_until_its_end(
    shared: Callable[[], RateBuckets], told: defaultdict[int, float], wait: Callable[[float, str], None]
) -> None:
    views = [shared() for _ in range(3)]
    for view in views:
        view.take_call("key", RULE, _wait)
    until = time.time() + 0.7
    views[0].lock("key", until)
    views[1].lock("key", time.time() + 0.1)  # a shorter one changes nothing
    passed: list[float] = []

    def work(view: RateBuckets) -> None:
        view.take_call("key", RULE, wait)
        passed.append(time.time())

    _run([lambda view=view: work(view) for view in views])
    assert min(passed) >= until - 0.005
    assert max(told.values()) < 0.7 + 0.5


def test_points_are_shared_and_refilled(
    shared: Callable[[], RateBuckets], told: defaultdict[int, float], wait: Callable[[float, str], None]
) -> None:
    views = [shared() for _ in range(4)]
    status = PointsStatus(maximum=100.0, available=100.0, restore_rate=100.0)
    views[0].take_points("shop", 1.0, _wait)
    views[0].settle_points("shop", refund=1.0, status=status)
    spent: list[tuple[float, float]] = []

    def work(view: RateBuckets) -> None:
        for _ in range(3):
            view.take_points("shop", 25.0, wait)
            spent.append((time.monotonic(), 25.0))

    started = time.monotonic()
    _run([lambda view=view: work(view) for view in views])
    assert time.monotonic() - started > 1.9  # 300 points, 100 of them there
    assert max(told.values()) < 3.0
    for moment, _ in spent:
        with_timeout = sum(points for at, points in spent if at <= moment)
        assert with_timeout <= 100 + 100 * (moment - started) + 1


def test_unused_points_come_back_and_the_platforms_count_lowers_ours(
    shared: Callable[[], RateBuckets], pool: ConnectionPool
) -> None:
    buckets = shared()
    buckets.take_points("shop", 900.0, _wait)
    buckets.settle_points("shop", refund=850.0, status=PointsStatus(2000.0, 1950.0, 0.001))
    assert 1945 < _available(pool) < 1951  # learned: the bucket is 2000 large, not 1000
    buckets.take_points("shop", 100.0, _wait)
    buckets.settle_points("shop", refund=100.0, status=PointsStatus(2000.0, 300.0, 0.001))
    assert 299 < _available(pool) < 301


def test_a_query_dearer_than_the_bucket_goes_when_it_is_full(shared: Callable[[], RateBuckets]) -> None:
    def refuse(_seconds: float, _reason: str) -> None:
        raise AssertionError("the bucket is full")

    shared().take_points("shop", 5000.0, refuse)


def _available(pool: ConnectionPool) -> float:
    with pool.connection() as db:
        row = db.execute("select available from accounts.rate_bucket where key = 'shop'").fetchone()
    assert row is not None
    return row[0]
