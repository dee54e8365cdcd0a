"""Where a projection takes up each partition on assignment, and when it must refuse to."""

from collections.abc import Callable
from typing import TypeVar

from job_events.sql_files import queries
from job_tracker.projector.broker import Broker, BrokerAway
from job_tracker.projector.postgres import Link, Stopped, pause
from job_tracker.projector.records import Cursor, Positions, TopicPartition
from job_tracker.projector.status import Status

_SQL = queries("job_tracker", "commit.sql")
Answer = TypeVar("Answer")


class LogBroken(Exception):
    """The log no longer holds what the stored position points at. Going on would skip events silently."""


class PositionStore:
    """Reads `consumer_offset`, and checks it against the broker."""

    def __init__(
        self, *, link: Link, broker: Broker, projection: str, status: Status, wait: Callable[[float], bool]
    ) -> None:
        self._link = link
        self._broker = broker
        self._projection = projection
        self._status = status
        self._wait = wait
        self._ids: dict[str, str] = {}

    def take(self, partitions: list[TopicPartition]) -> Positions:
        """Positions for newly assigned partitions; waits while a server is away.

        Raises:
            LogBroken: a topic was recreated, trimmed past the position, or ends before it.
            Stopped: the process shall end.
        """
        if not partitions:
            return {}
        ids = self._topic_ids({topic for topic, _ in partitions})
        spans = self._answered(lambda: self._broker.spans(partitions))

        def work(cursor: Cursor) -> list[tuple[object, ...]]:
            keys = self._keys(partitions)
            cursor.execute(
                _SQL["begin_positions"],
                keys
                | {
                    "topic_ids": [ids[topic] for topic, _ in partitions],
                    "offsets": [spans[partition].low for partition in partitions],
                },
            )
            return cursor.execute(_SQL["positions"], keys).fetchall()

        positions: Positions = {}
        for topic, number, topic_id, next_offset in self._link.transact(work):
            partition = (str(topic), int(str(number)))
            held, span = int(str(next_offset)), spans[partition]
            name = f"{topic}[{number}]"
            if topic_id != ids[partition[0]]:
                raise _recreated(partition[0], str(topic_id), ids[partition[0]])
            if held < span.low:
                raise LogBroken(
                    f"{name} was trimmed: the next event is at offset {held}, the oldest that is left at {span.low}; "
                    f"{span.low - held} events are gone from the log"
                )
            if held > span.high:
                raise LogBroken(
                    f"{name} lost its end: the position is {held}, but the log ends at {span.high}; "
                    "the broker has lost acknowledged events"
                )
            positions[partition] = held
        self._ids |= ids
        return positions

    def check(self) -> None:
        """Make sure, after records were read and before they are committed, that they came from the log the positions
        belong to: the client follows a topic that was recreated under it without a word. Waits while Kafka is away.

        All topics are asked for, also those that this batch has no record of: once one was recreated, nothing is
        written any more.

        Raises:
            LogBroken: a topic was recreated.
            Stopped: the process shall end.
        """
        for topic, now in self._topic_ids(set(self._ids)).items():
            if now != self._ids[topic]:
                raise _recreated(topic, self._ids[topic], now)

    def reread(self, partitions: list[TopicPartition]) -> Positions:
        """Positions as another owner left them.

        Raises:
            Stopped: the process shall end.
        """

        def work(cursor: Cursor) -> list[tuple[object, ...]]:
            return cursor.execute(_SQL["positions"], self._keys(partitions)).fetchall()

        return {
            (str(topic), int(str(n))): int(str(next_offset)) for topic, n, _, next_offset in self._link.transact(work)
        }

    def _topic_ids(self, topics: set[str]) -> dict[str, str]:
        def ask() -> dict[str, str]:
            found = self._broker.topic_ids(topics)
            if unknown := topics - found.keys():
                raise BrokerAway(f"the broker does not know {', '.join(sorted(unknown))}")
            return {topic: topic_id for topic, (topic_id, _) in found.items()}

        return self._answered(ask)

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        attempt = 0
        while True:
            try:
                answer = ask()
            except BrokerAway as error:
                self._status.away("Kafka", str(error))
                attempt += 1
                if self._wait(pause(attempt)):
                    raise Stopped from None
            else:
                self._status.present("Kafka")
                return answer

    def _keys(self, partitions: list[TopicPartition]) -> dict[str, object]:
        return {
            "projection": self._projection,
            "topics": [topic for topic, _ in partitions],
            "partitions": [number for _, number in partitions],
        }


def _recreated(topic: str, before: str, now: str) -> LogBroken:
    return LogBroken(
        f"topic {topic} was recreated: the positions belong to topic id {before}, the broker now has {now}"
    )
