"""The platforms' rate limits. They live in memory: a restarted sandbox starts with fresh ones."""

import math
import threading
from collections.abc import Callable

import msgspec

from sandbox.shops import NhanhSettings, ShopifySettings


class Lock(msgspec.Struct):
    """A refused call: for how many seconds, and until which unix second."""

    seconds: int
    until: int


class _Window(msgspec.Struct):
    started: float
    calls: int = 0
    locked_until: int = 0


class CallWindows:
    """Nhanh: so many calls in a window per app, business and URL. Breaking it locks; calling while locked
    makes the lock longer (by how much is not published, so it is a setting)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._guard = threading.Lock()

    def take(self, key: str, settings: NhanhSettings) -> Lock | None:
        """Count one call; None when it may pass."""
        with self._guard:
            now = self._clock()
            window = self._windows.setdefault(key, _Window(now))
            if now < window.locked_until:
                return self._lock(window, now, window.locked_until - now + settings.lock_growth_seconds)
            if now - window.started >= settings.window_seconds or window.locked_until > window.started:
                window.started, window.calls, window.locked_until = now, 0, 0
            if window.calls >= settings.calls:
                return self._lock(window, now, settings.lock_seconds)
            window.calls += 1
            return None

    def lock(self, key: str, seconds: float) -> Lock:
        """Lock a key as if its limit had been broken."""
        with self._guard:
            now = self._clock()
            return self._lock(self._windows.setdefault(key, _Window(now)), now, seconds)

    @staticmethod
    def _lock(window: _Window, now: float, seconds: float) -> Lock:
        window.locked_until = math.ceil(now + seconds)
        return Lock(math.ceil(window.locked_until - now), window.locked_until)


class _Bucket(msgspec.Struct):
    available: float
    at: float


class CostBuckets:
    """Shopify: a leaky bucket of points per shop. A query takes what it may cost, and gets back what it did not."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._guard = threading.Lock()

    def _filled(self, key: str, settings: ShopifySettings) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(settings.bucket, now))
        passed = max(0.0, now - bucket.at)
        bucket.available = min(settings.bucket, bucket.available + passed * settings.restore_rate)
        bucket.at = now
        return bucket

    def take(self, key: str, points: float, settings: ShopifySettings) -> bool:
        """Take the requested cost; False, and nothing taken, when there isn't enough."""
        with self._guard:
            bucket = self._filled(key, settings)
            if points > bucket.available:
                return False
            bucket.available -= points
            return True

    def refund(self, key: str, points: float, settings: ShopifySettings) -> None:
        """Give back what a query did not use."""
        with self._guard:
            bucket = self._filled(key, settings)
            bucket.available = min(settings.bucket, bucket.available + points)

    def empty(self, key: str, settings: ShopifySettings) -> None:
        """Take everything, as somebody else's app would."""
        with self._guard:
            self._filled(key, settings).available = 0

    def status(self, key: str, settings: ShopifySettings) -> dict[str, float]:
        """throttleStatus as the platform reports it."""
        with self._guard:
            available = self._filled(key, settings).available
        return {
            "maximumAvailable": float(settings.bucket),
            "currentlyAvailable": float(int(available)),
            "restoreRate": float(settings.restore_rate),
        }
