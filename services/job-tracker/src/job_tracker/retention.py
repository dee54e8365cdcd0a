"""Retention: once an hour, deletes what is older than the settings say.

One horizon, a stored midnight, says which jobs are forgotten (domain/horizon.py). History, items and dead letters have
shorter lives of their own; none is kept from before the horizon.

History is dropped by day tables. All else is deleted in batches, each in a transaction of its own, so that locks are
short.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import structlog
from psycopg import sql

from job_events.topics import Topics
from job_tracker.domain.horizon import (
    NEVER,
    Lateness,
    midnight,
    next_rule,
    reached_horizon,
    rule_in_force,
)
from job_tracker.domain.positions import JOBS_PROJECTION, MAX_BEHIND
from job_tracker.settings import Settings
from job_tracker.store.horizon import (
    move_horizon,
    store_rule,
    stored_horizon,
    stored_lateness,
    stored_rules,
    sweep_jobs,
    unread_partitions,
)
from job_tracker.store.postgres import Connection, connect
from service_kit.clock import Clock
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "retention.sql")
_DAYS_LOCK = queries("job_tracker.store", "shadow.sql")["lock_days"]
_ROWS = 5000  # rows deleted in one transaction
_FIRST, _EVERY = 60.0, 3600.0  # seconds from the start to the first sweep, and from one to the next
_LATE = timedelta(days=40)  # longer than the topics keep an event of a job that was deleted


def history_since(now: datetime, settings: Settings, horizon: datetime = NEVER) -> datetime:
    """Where the kept history begins: a midnight in UTC, at the earliest the horizon of finished jobs."""
    return max(midnight(now) - timedelta(days=settings.jobtrail_history_days), horizon)


def dead_letters_since(now: datetime, settings: Settings, horizon: datetime = NEVER) -> datetime:
    """Where the kept items and dead letters begin."""
    return max(now - timedelta(days=settings.jobtrail_items_days), horizon)


def sweep(connection: Connection, now: datetime, settings: Settings) -> Counter[str]:
    """Delete what is older than the settings say; how many days' tables and rows of what kind went.

    `connection` commits each statement by itself. Nothing happens while another tracker sweeps.
    """
    gone: Counter[str] = Counter()
    if connection.execute(_SQL["try_lock"]).fetchone() != (True,):
        return gone
    _advance_horizon(connection, now, settings)
    gone += sweep_jobs(connection)
    horizon = stored_horizon(connection).ended_before
    since = history_since(now, settings, horizon)
    days = connection.execute(_SQL["old_days"], {"first_kept": f"event_{since:%Y%m%d}"}).fetchall()
    for (day,) in days:
        gone["days"] += _drop_day(connection, str(day))
    items_since = dead_letters_since(now, settings, horizon)
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


def _advance_horizon(connection: Connection, now: datetime, settings: Settings) -> None:
    """Store a new rule if the setting has changed; move the horizon once a day, when the log has been read so far."""
    rules = stored_rules(connection)
    if (rule := next_rule(rules, settings.jobtrail_job_days, now)) is not None:
        store_rule(connection, rule)
        log.info("horizon rule stored", days=rule.days, in_force_from=rule.in_force_from.isoformat())
    rule = rule_in_force(rules, now)
    if rule is None:
        return
    horizon, read_until = reached_horizon(rule, now)
    if horizon <= stored_horizon(connection).ended_before:
        return
    topics = Topics(settings.jobtrail_topic_prefix)
    unread = unread_partitions(connection, topics.prefix + JOBS_PROJECTION, topics.lifecycle(), read_until)
    if unread:
        log.info("horizon waits for the projectors", horizon=horizon.isoformat(), unread=unread[:5])
        return
    move_horizon(connection, horizon)
    log.info("horizon moved", ended_before=horizon.isoformat())


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
    """A thread that sweeps once an hour until it is stopped, and passes on the rules of lateness."""

    def __init__(self, settings: Settings, clock: Clock, use_lateness: Callable[[Lateness], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._use_lateness = use_lateness
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
                    # Also what another tracker has stored: a rule is in force a day later at the earliest.
                    self._use_lateness(stored_lateness(connection))
            except psycopg.Error as error:
                log.warning("retention failed; retried with the next sweep", reason=str(error).strip())
            else:
                log.info("retention done", **gone)
