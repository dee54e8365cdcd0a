"""The projector's one thread: poll, prepare, commit, report."""

import threading
from collections.abc import Callable
from typing import Generic

import structlog

from job_tracker.projector.commit import Committer
from job_tracker.projector.positions import LogBroken
from job_tracker.projector.postgres import Link, Stopped
from job_tracker.projector.records import Content, Projection
from job_tracker.projector.source import KafkaSource
from job_tracker.projector.status import Status

log = structlog.get_logger()
_IDLE = 0.25  # seconds until the loop looks whether it shall end


class Projector(Generic[Content]):
    """Keeps one projection until `stop` is set. Everything it uses is handed in by bootstrap."""

    def __init__(
        self,
        *,
        projection: Projection[Content],
        committer: Committer[Content],
        link: Link,
        open_source: Callable[[], KafkaSource],
        status: Status,
        stop: threading.Event,
        batch_events: int,
    ) -> None:
        self._projection = projection
        self._committer = committer
        self._link = link
        self._open_source = open_source
        self._status = status
        self._stop = stop
        self._batch_events = batch_events

    def run(self) -> None:
        """Run until stopped; leaves the group and closes the connection whatever happens.

        Raises:
            LogBroken: the log no longer holds what the position points at; people must decide.
        """
        source = self._open_source()
        try:
            while not self._stop.is_set():
                self._turn(source)
        except Stopped:
            log.info("ended while waiting")
        except LogBroken as error:
            self._status.stopped(str(error))
            raise
        finally:
            source.close()
            self._link.close()

    def _turn(self, source: KafkaSource) -> None:
        records = source.poll(self._batch_events, _IDLE)
        self._status.turned()
        if not records:
            return
        lost = self._committer.commit(self._projection.prepare(records))
        if lost:
            source.rewind(lost)
        source.report()
