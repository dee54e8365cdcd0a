"""Rate limits as buckets that clients draw from before each call.

`RateBuckets` keeps them in PostgreSQL, shared by all workers and counted in the database's time;
`LocalBuckets` keeps the same rules in this process alone.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from psycopg_pool import ConnectionPool

from platforms.results import Wait
from service_kit.sql_files import queries

_SQL = queries("platforms", "buckets.sql")


@dataclass(frozen=True)
class WindowRule:
    """At most `limit` calls in any `seconds`.

    lease: calls bought in one round trip; lease_seconds: how long they stay usable, which also covers the
    time between buying a call and its arrival. With a lease of 1 a lock reaches every worker before its
    next call; larger ones save round trips, and leave other processes a lease's rest after a lock.
    """

    limit: int
    seconds: float
    lease: int = 1
    lease_seconds: float = 1.0

    @property
    def span(self) -> float:
        """Calls bought in any `span` seconds stay within the limit, so calls made in any `seconds` do too."""
        return self.seconds + self.lease_seconds


@dataclass(frozen=True)
class PointsStatus:
    """A cost bucket as the platform reports it: size, points left, points restored a second."""

    maximum: float
    available: float
    restore_rate: float


UNKNOWN_POINTS = PointsStatus(maximum=1000.0, available=1000.0, restore_rate=50.0)
"""Assumed until a shop reports its own: one query may cost 1000; slower than any plan of today."""


_RECHECK_SECONDS = 1.0
_LONG_SECONDS = 3.0
_SHORTEST_WAIT = 0.001
"""A clock of today counts in steps of 0.2 microseconds: a shorter wait would be repeated without end."""


class Buckets(Protocol):
    """What the clients need. `wait` blocks, or raises when the job is to stop; that passes through."""

    def take_call(self, key: str, rule: WindowRule, wait: Wait) -> None:
        """Return when one call may be made."""
        ...

    def take_points(self, key: str, cost: float, wait: Wait) -> None:
        """Return when a query that may cost `cost` points may be sent."""
        ...

    def settle_points(self, key: str, *, refund: float, status: PointsStatus) -> None:
        """Learn from an answer: `refund` points of those taken were not used."""
        ...

    def lock(self, key: str, until: float) -> None:
        """Let no client call before `until` (unix seconds on the client's clock); a longer lock stays."""
        ...


@dataclass
class _Lease:
    id: int
    left: int
    expires: float


class RateBuckets:
    """Buckets in PostgreSQL. Thread-safe; one instance a process serves all its jobs."""

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float]) -> None:
        """clock: unix seconds, only for what stays in this process; shared times are the database's."""
        self._pool = pool
        self._clock = clock
        self._mutex = threading.Lock()
        self._leases: dict[str, _Lease] = {}

    def take_call(self, key: str, rule: WindowRule, wait: Wait) -> None:
        while True:
            rest = self._from_lease(key)
            if rest is None:
                return
            asked_at = self._clock()
            lease, granted, pause = self._row(
                "buy_calls",
                {
                    "key": key,
                    "want": rule.lease,
                    "limit": rule.limit,
                    "span": rule.span,
                    "lease": rest.id,
                    "unused": rest.left,
                },
            )
            if granted:
                # Expiry counts from before the purchase, so it can only be too early.
                bought = _Lease(lease, granted - 1, asked_at + rule.lease_seconds)
                with self._mutex:
                    self._leases[key] = bought
                return
            _wait_for(pause, key, wait)

    def take_points(self, key: str, cost: float, wait: Wait) -> None:
        values = {
            "key": key,
            "cost": cost,
            "maximum": UNKNOWN_POINTS.maximum,
            "rate": UNKNOWN_POINTS.restore_rate,
        }
        waited = 0.0
        while True:
            granted, pause = self._row("spend_points", values)
            if granted:
                return
            # Another worker's answer may correct the bucket and shorten the wait at any moment, above all at the first
            # calls to a shop. A wait that stays long is named as a whole, so that a job gives its thread back.
            seconds = min(pause, _RECHECK_SECONDS) if waited < _LONG_SECONDS else pause
            _wait_for(seconds, key, wait)
            waited += seconds

    def settle_points(self, key: str, *, refund: float, status: PointsStatus) -> None:
        self._run(
            "settle_points",
            {
                "key": key,
                "refund": refund,
                "seen": status.available,
                "maximum": status.maximum,
                "rate": status.restore_rate,
            },
        )

    def lock(self, key: str, until: float) -> None:
        # As a span, because this machine's clock and the database's may differ.
        seconds = max(0.0, until - self._clock())
        self._run("lock_bucket", {"key": key, "seconds": seconds})
        with self._mutex:
            self._leases.pop(key, None)

    def _from_lease(self, key: str) -> _Lease | None:
        """None if a leased call was used; else what is left of an expired or used-up lease, to give back."""
        with self._mutex:
            lease = self._leases.get(key)
            if lease and lease.left and self._clock() < lease.expires:
                lease.left -= 1
                return None
            return self._leases.pop(key, None) or _Lease(0, 0, 0.0)

    def _row(self, name: str, values: Mapping[str, object]) -> tuple[Any, ...]:
        with self._pool.connection() as db:
            row = db.execute(_SQL[name], values).fetchone()
        assert row is not None  # noqa: S101  a call of a function always gives one row
        return row

    def _run(self, name: str, values: Mapping[str, object]) -> None:
        with self._pool.connection() as db:
            db.execute(_SQL[name], values)


class LocalBuckets:
    """The same rules for one client that does not share its limits, on the injected clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}
        self._points: dict[str, tuple[PointsStatus, float]] = {}
        self._locks: dict[str, float] = {}

    def take_call(self, key: str, rule: WindowRule, wait: Wait) -> None:
        calls = self._calls.setdefault(key, deque())
        while True:
            self._wait_for_lock(key, wait)
            now = self._clock()
            while calls and calls[0] <= now - rule.span:
                calls.popleft()
            if len(calls) < rule.limit:
                calls.append(now)
                return
            _wait_for(calls[0] + rule.span - now, key, wait)

    def take_points(self, key: str, cost: float, wait: Wait) -> None:
        while True:
            self._wait_for_lock(key, wait)
            status = self._now(key)
            needed = min(cost, status.maximum)
            if status.available >= needed:
                self._set(key, status, status.available - cost)
                return
            _wait_for((needed - status.available) / status.restore_rate, key, wait)

    def settle_points(self, key: str, *, refund: float, status: PointsStatus) -> None:
        known = self._now(key)
        ours = known.available + refund + status.maximum - known.maximum
        self._set(key, status, min(ours, status.available, status.maximum))

    def lock(self, key: str, until: float) -> None:
        self._locks[key] = max(until, self._locks.get(key, until))

    def _wait_for_lock(self, key: str, wait: Wait) -> None:
        while (left := self._locks.get(key, 0.0) - self._clock()) > 0:
            _wait_for(left, key, wait)

    def _now(self, key: str) -> PointsStatus:
        now = self._clock()
        status, measured_at = self._points.get(key, (UNKNOWN_POINTS, now))
        restored = status.available + status.restore_rate * (now - measured_at)
        return PointsStatus(status.maximum, min(status.maximum, restored), status.restore_rate)

    def _set(self, key: str, status: PointsStatus, available: float) -> None:
        self._points[key] = (
            PointsStatus(status.maximum, available, status.restore_rate),
            self._clock(),
        )


def _wait_for(seconds: float, key: str, wait: Wait) -> None:
    wait(max(seconds, _SHORTEST_WAIT), f"rate limit of {key}")
