"""How long a service remembers which work it has done, so that a replay of its topics repeats nothing."""

import threading
from collections import Counter
from datetime import datetime, timedelta

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from service_kit.clock import Clock
from service_kit.database import is_away, is_transient
from service_kit.sql_files import queries

log = structlog.get_logger(__name__)
_SQL = queries("worker", "retention.sql")

REACH = timedelta(days=400)
"""Longer than the retention of every topic. An older request may be a replay of a deleted row, so it is refused."""
KEEP = REACH + timedelta(days=30)
"""Age of the rows that are deleted: every copy of their requests is refused by its age."""

_ROWS = 5000  # rows deleted in one transaction
_FIRST, _EVERY = 60.0, 3600.0  # seconds to the first sweep, and between two


def sweep(pool: ConnectionPool, now: datetime) -> Counter[str]:
    """Delete finished jobs, control messages and noted parents older than KEEP; returns the rows by statement."""
    deleted: Counter[str] = Counter()
    for name, statement in _SQL.items():
        rows = 1
        while rows > 0:
            with pool.connection() as conn:
                rows = conn.execute(statement, {"before": now - KEEP, "rows": _ROWS}).rowcount
            deleted[name] += rows
    return +deleted


def sweep_hourly(pool: ConnectionPool, clock: Clock, stop: threading.Event) -> None:
    """Sweep a minute after the start, as a service may be restarted often, and once an hour until `stop`."""
    pause = _FIRST
    while not stop.wait(pause):
        pause = _EVERY
        try:
            if deleted := sweep(pool, clock.now()):
                log.info("retention swept", **deleted)
        except psycopg.Error as error:
            if not (is_away(error) or is_transient(error)):
                raise
            log.warning("retention not swept", reason=str(error).strip())
