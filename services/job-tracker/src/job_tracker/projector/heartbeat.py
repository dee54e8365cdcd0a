"""Once a second: what the projector does, and how far the topics reach. Freshness is measured by it.

Now and then it also ends the sessions of owners that are paused where PostgreSQL would wait for them without end.

It has a thread and a connection of its own, so that a projector that waits or is stuck is seen to be.
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
_LOOK_AROUND = 30  # beats between looks for days to come, and for rows of the dead
_LISTEN = 5  # beats between looks for sessions that have fallen silent
_SILENT = LONGEST + timedelta(seconds=2)  # so that PostgreSQL ends first what it can end by itself


class _Question(NamedTuple):
    """How far the topics reach, asked at a moment of PostgreSQL's clock."""

    asked_at: object
    ends: Future[dict[TopicPartition, int] | None]


class Heartbeat:
    """Start it with `start`; `stop` writes that this instance has left."""

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
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of {projection}", daemon=True)
        self._question: _Question | None = None
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
            if beats % _LISTEN == 0:
                self._guarded(self._end_silent)
            self._guarded(lambda look=beats % _LOOK_AROUND == 0: self._beat(look))
            beats += 1
            self._stop.wait(INTERVAL)
        self._guarded(lambda: self._execute("leave", self._names))
        if self._connection is not None:
            self._connection.close()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The loop's own connection says that PostgreSQL is away; a beat that is missing says it to readers.
            log.debug("no heartbeat", reason=str(error))
            self._connection = None
        except psycopg.Error:
            log.exception("the heartbeat was refused")
            self._connection = None

    def _beat(self, look_around: bool) -> None:
        question = self._question
        if question is None:
            asked_at = self._execute("time", {})
            self._question = question = _Question(asked_at, _in_background(self._ends))
        # A Kafka that hangs must not make this projector look dead: the beat waits for no more than a moment.
        if wait([question.ends], INTERVAL).done:
            self._question = None
        state, detail = self._status.read()
        self._execute("beat", self._names | {"state": state, "detail": detail})
        if self._question is None and (ends := question.ends.result()) is not None:
            self._note_faults()
            self._execute(
                "note_ends",
                {
                    "projection": self._names["projection"],
                    "asked_at": question.asked_at,
                    "topics": [topic for topic, _ in ends],
                    "partitions": [number for _, number in ends],
                    "ends": list(ends.values()),
                },
            )
        if look_around:
            self._execute("forget_silent", {})
            self._execute("ensure_event_days", {})

    def _note_faults(self) -> None:
        faults, seen = self._status.faults(), self._status.seen
        projection = {"projection": self._names["projection"]}
        if faults:
            noted = {"topics": [topic for topic, _ in faults], "partitions": [number for _, number in faults]}
            self._execute("note_faults", projection | noted | {"reasons": list(faults.values())})
        there = {"topics": list(seen), "counts": [topic.partitions for topic in seen.values()]}
        self._execute("mend_topics", projection | there)

    def _end_silent(self) -> None:
        ended = self._execute("end_silent", {"application_name": APPLICATION, "after": _SILENT})
        if ended:
            log.warning("ended sessions that were silent in the middle of a transaction", sessions=ended)

    def _ends(self) -> dict[TopicPartition, int] | None:
        """None while Kafka is away."""
        try:
            # Asked for each time: what comes into a partition that was added counts as not read from then on.
            seen = {topic: SeenTopic(*found) for topic, found in sorted(self._broker.topic_ids(self._topics).items())}
            partitions = [(topic, number) for topic, one in seen.items() for number in range(one.partitions)]
            ends = self._broker.ends(partitions) if partitions else {}
        except BrokerAway as error:
            self._status.away("Kafka", str(error))
            return None
        self._status.present("Kafka")
        self._status.looked(self._topics, seen)
        return ends

    def _execute(self, name: str, parameters: Mapping[str, object]) -> object:
        """Run a statement; the first value that it gives, if it gives any."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url)
        cursor = self._connection.execute(_SQL[name], parameters)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def _in_background(ask: Callable[[], dict[TopicPartition, int] | None]) -> Future[dict[TopicPartition, int] | None]:
    """Ask in a thread that keeps no process from ending."""
    answer: Future[dict[TopicPartition, int] | None] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="question of the heartbeat", daemon=True).start()
    return answer
