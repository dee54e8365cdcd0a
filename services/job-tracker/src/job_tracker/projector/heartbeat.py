"""The heartbeat: once a second it stores what the projector does and where the topics end.

Freshness is computed from that.

Every few seconds it also terminates sessions of paused owners, where no time-out of PostgreSQL does.

It has a thread and a connection of its own, so that it reports a projector that waits or is stuck.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from datetime import timedelta
from typing import NamedTuple

import psycopg
import structlog

from job_tracker.errors import BrokerAway
from job_tracker.log.broker import Broker
from job_tracker.log.records import TopicPartition
from job_tracker.store.postgres import APPLICATION, LONGEST, Connection, connect
from job_tracker.store.status import SeenTopic, Status
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "commit.sql")

INTERVAL = 1.0  # seconds between beats
_MAINTAIN_EVERY = 30  # beats between two runs of maintenance: partitions of the next days, rows of dead instances
_TERMINATE_EVERY = 5  # beats between two checks for silent sessions
_SILENT = LONGEST + timedelta(seconds=2)  # so that PostgreSQL ends first what it can end by itself


class _EndsRequest(NamedTuple):
    """A request for the ends of the topics, with the time of PostgreSQL at which it was made."""

    asked_at: object
    ends: Future[dict[TopicPartition, int] | None]


class Heartbeat:
    """Started by `start`; `stop` deletes the row of this instance."""

    def __init__(
        self,
        *,
        database_url: str,
        broker: Broker,
        projection: str,
        topics: list[str],
        instance: str,
        status: Status,
    ) -> None:
        self._database_url = database_url
        self._broker = broker
        self._names = {"projection": projection, "instance": instance}
        self._topics = topics
        self._status = status
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {projection}", daemon=True)
        self._request: _EndsRequest | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for its last write, at most 10 seconds."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        beats = 0
        while not self._stop.is_set():
            if beats % _TERMINATE_EVERY == 0:
                self._guarded(self._end_silent)
            self._guarded(lambda maintain=beats % _MAINTAIN_EVERY == 0: self._beat(maintain))
            beats += 1
            self._stop.wait(INTERVAL)
        self._guarded(lambda: self._execute("delete_heartbeat", self._names))
        if self._connection is not None:
            self._connection.close()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The loop's own connection logs that PostgreSQL is away; readers see that the heartbeat is old.
            log.debug("heartbeat failed", reason=str(error))
            self._connection = None
        except psycopg.Error:
            log.exception("heartbeat refused")
            self._connection = None

    def _beat(self, maintain: bool) -> None:
        request = self._request
        if request is None:
            asked_at = self._execute("now", {})
            self._request = request = _EndsRequest(asked_at, _in_background(self._ends))
        # The heartbeat waits briefly only: while Kafka hangs, the projector is alive.
        if wait([request.ends], INTERVAL).done:
            self._request = None
        state, detail = self._status.read()
        self._execute("insert_heartbeat", self._names | {"state": state, "detail": detail})
        if self._request is None and (ends := request.ends.result()) is not None:
            self._note_faults()
            self._execute(
                "insert_partition_ends",
                {
                    "projection": self._names["projection"],
                    "asked_at": request.asked_at,
                    "topics": [topic for topic, _ in ends],
                    "partitions": [number for _, number in ends],
                    "ends": list(ends.values()),
                },
            )
        if maintain:
            self._execute("delete_old_heartbeats", {})
            self._execute("ensure_event_days", {})

    def _note_faults(self) -> None:
        faults, seen = self._status.faults(), self._status.seen
        projection = {"projection": self._names["projection"]}
        if faults:
            noted = {"topics": [topic for topic, _ in faults], "partitions": [number for _, number in faults]}
            self._execute("insert_faults", projection | noted | {"reasons": list(faults.values())})
        there = {"topics": list(seen), "counts": [topic.partitions for topic in seen.values()]}
        self._execute("delete_topic_faults", projection | there)

    def _end_silent(self) -> None:
        ended = self._execute("terminate_silent_sessions", {"application_name": APPLICATION, "after": _SILENT})
        if ended:
            log.warning("terminated sessions that were silent in a transaction", sessions=ended)

    def _ends(self) -> dict[TopicPartition, int] | None:
        """None while Kafka is away."""
        try:
            # Read each time: partitions may have been added, and their records count as not read.
            seen = {topic: SeenTopic(*found) for topic, found in sorted(self._broker.topic_ids(self._topics).items())}
            partitions = [(topic, number) for topic, one in seen.items() for number in range(one.partitions)]
            ends = self._broker.ends(partitions) if partitions else {}
        except BrokerAway as error:
            self._status.record_away("Kafka", str(error))
            return None
        self._status.record_present("Kafka")
        self._status.record_topics(self._topics, seen)
        return ends

    def _execute(self, name: str, parameters: Mapping[str, object]) -> object:
        """Run a statement; the first value of its first row, if it returns any."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url)
        cursor = self._connection.execute(_SQL[name], parameters)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def _in_background(ask: Callable[[], dict[TopicPartition, int] | None]) -> Future[dict[TopicPartition, int] | None]:
    """Call `ask` in a daemon thread."""
    answer: Future[dict[TopicPartition, int] | None] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="heartbeat request", daemon=True).start()
    return answer
