"""Retention: once an hour, deletes what is older than the settings say. Job rows stay.

History is dropped by day tables. Items, dead letters, idempotency keys, and the history and items of deleted jobs are
deleted in batches, each in a transaction of its own, so that locks are short.
"""

import threading
from collections import Counter
from datetime import UTC, datetime, time, timedelta

import psycopg
import structlog
from psycopg import sql

from job_tracker.domain.positions import MAX_BEHIND
from job_tracker.settings import Settings
from job_tracker.store.postgres import Connection, connect
from service_kit.clock import Clock
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "retention.sql")
_DAYS_LOCK = queries("job_tracker.store", "shadow.sql")["lock_days"]
_ROWS = 5000  # rows deleted in one transaction
_FIRST, _EVERY = 60.0, 3600.0  # seconds from the start to the first sweep, and from one to the next
_LATE = timedelta(days=40)  # longer than the topics keep an event of a job that was deleted


def history_since(now: datetime, settings: Settings) -> datetime:
    """Where the kept history begins: a midnight in UTC."""
    day = now.astimezone(UTC).date() - timedelta(days=settings.jobtrail_history_days)
    return datetime.combine(day, time(), UTC)


def dead_letters_since(now: datetime, settings: Settings) -> datetime:
    """Where the kept items and dead letters begin."""
    return now - timedelta(days=settings.jobtrail_items_days)


def sweep(connection: Connection, now: datetime, settings: Settings) -> Counter[str]:
    """Delete what is older than the settings say; how many days' tables and rows of what kind went.

    `connection` commits each statement by itself. Nothing happens while another tracker sweeps.
    """
    gone: Counter[str] = Counter()
    if connection.execute(_SQL["try_lock"]).fetchone() != (True,):
        return gone
    since = history_since(now, settings)
    days = connection.execute(_SQL["old_days"], {"first_kept": f"event_{since:%Y%m%d}"}).fetchall()
    for (day,) in days:
        gone["days"] += _drop_day(connection, str(day))
    items_since = dead_letters_since(now, settings)
    batches: list[tuple[str, dict[str, datetime | int]]] = [
        ("delete_default_history", {"before": since}),
        ("delete_items", {"before": items_since}),
        ("delete_dead_letters", {"before": items_since}),
        ("delete_keys", {"before": now - timedelta(days=settings.jobtrail_keys_days)}),
        ("delete_empty_offsets", {"reach": MAX_BEHIND}),
        ("delete_deleted_history", {"since": now - _LATE}),
        ("delete_deleted_items", {"since": now - _LATE}),
    ]
    for name, parameters in batches:
        while (rows := connection.execute(_SQL[name], parameters | {"rows": _ROWS}).rowcount) > 0:
            gone[name] += rows
    connection.execute(_SQL["unlock"])
    return gone


def _drop_day(connection: Connection, day: str) -> bool:
    """DROP waits for readers of the history, and new readers wait for it: so the lock time-out is short."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout TO '2s'")
            connection.execute(_DAYS_LOCK)
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(day)))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        log.info("day table in use; retried with the next sweep", table=day)
        return False
    return True


class Sweeper:
    """A thread that sweeps once an hour until it is stopped."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; an interrupted sweep continues after the next start."""
        self._stop.set()

    def _run(self) -> None:
        pause = _FIRST
        while not self._stop.wait(pause):
            pause = _EVERY
            try:
                with connect(self._settings.database_url) as connection:
                    gone = sweep(connection, self._clock.now(), self._settings)
            except psycopg.Error as error:
                log.warning("retention failed; retried with the next sweep", reason=str(error).strip())
            else:
                log.info("retention done", **gone)
