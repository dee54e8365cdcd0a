"""The loop of a scheduler: once a second a turn, until it is asked to end."""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from job_events.topics import Topics
from job_tracker.scheduler.runs import decide_runs, delete_old_runs, plan_runs, send_requests
from job_tracker.store.postgres import Cursor, RetryingConnection
from service_kit.clock import Clock
from service_kit.errors import Stopping
from service_kit.kafka import ReconnectingProducer
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "schedules.sql")
PAUSE = 1.0  # seconds between two turns
_DELETE_EVERY, _DELETED_ROWS = 3600.0, 5000


class Scheduler:
    """Plans, decides and sends runs on a connection of its own. `clock` says which instants are due."""

    def __init__(
        self,
        *,
        connection: RetryingConnection,
        producer: ReconnectingProducer,
        topics: Topics,
        clock: Clock,
        instance: str,
        keep: timedelta,
        stop: threading.Event,
    ) -> None:
        self._connection = connection
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._instance = instance
        self._keep = keep
        self._stop = stop
        self._deleted_at = clock.monotonic()

    def run(self) -> None:
        """Turn until `stop` is set."""
        try:
            while not self._stop.is_set():
                self.turn()
                self._stop.wait(PAUSE)
            self._connection.transact(lambda cursor: cursor.execute(_SQL["delete_instance"], self._me()))
        except Stopping:
            pass
        finally:
            self._connection.close()

    def turn(self) -> None:
        """Do everything that is due now."""
        now = self._clock.now()
        self._connection.transact(lambda cursor: cursor.execute(_SQL["tick"], self._me()))
        self._repeat(lambda cursor: plan_runs(cursor, now))
        self._repeat(lambda cursor: decide_runs(cursor, now))
        self._repeat(lambda cursor: send_requests(cursor, now, self._producer, self._topics))
        if self._clock.monotonic() - self._deleted_at > _DELETE_EVERY:
            self._deleted_at = self._clock.monotonic()
            before = now - self._keep
            self._connection.transact(lambda cursor: cursor.execute(_SQL["delete_old_instances"]))
            self._repeat(lambda cursor: delete_old_runs(cursor, before, _DELETED_ROWS))

    def _repeat(self, work: Callable[[Cursor], int]) -> None:
        """Run `work` in transactions of their own until one finds nothing."""
        while self._connection.transact(work) and not self._stop.is_set():
            pass

    def _me(self) -> dict[str, str]:
        return {"instance": self._instance}
