"""The positions at which a projection resumes its partitions, and the checks that refuse some of them."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeVar

from job_tracker.errors import BrokerAway
from job_tracker.log.broker import Broker
from job_tracker.log.records import Positions, Span, TopicPartition
from job_tracker.store.postgres import Cursor, RetryingConnection, pause
from job_tracker.store.status import Status
from service_kit.errors import Stopping
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "commit.sql")
_ATTEMPTS, _PAUSE = 3, 0.3  # a broker that has just started may not know a topic yet; seconds in between
Answer = TypeVar("Answer")


class AssignedPositions(NamedTuple):
    """Positions of the partitions that can be read; of the others the reason why not.

    `recreated`: one of their topics is not the one that this process has read before.
    """

    positions: Positions
    refused: dict[TopicPartition, str]
    recreated: bool = False


class PositionStore:
    """Reads `consumer_offset`, and checks it against the broker."""

    def __init__(
        self,
        *,
        connection: RetryingConnection,
        broker: Broker,
        projection: str,
        remedy: str,
        status: Status,
        wait: Callable[[float], bool],
    ) -> None:
        self._connection = connection
        self._broker = broker
        self._projection = projection
        self._remedy = remedy
        self._status = status
        self._wait = wait
        self._ids: dict[str, str] = {}  # of the topics that are read
        self.unusable: dict[str, str] = {}
        """Topics that were read and must not be read any more, each with the reason."""

    def take(self, partitions: Collection[TopicPartition]) -> AssignedPositions:
        """Positions for newly assigned partitions; waits while a server is away.

        A topic that is missing, recreated, trimmed past the position, or that ends before it, is refused, and no other.

        Raises:
            Stopping: the process is asked to end.
        """
        ids, spans, refused = self._described(partitions)
        present = sorted(spans)
        if not present:
            return AssignedPositions({}, refused)

        def work(cursor: Cursor) -> list[tuple[object, ...]]:
            cursor.execute(
                _SQL["begin_positions"],
                self._keys(present)
                | {
                    "topic_ids": [ids[topic] for topic, _ in present],
                    "offsets": [spans[partition].low for partition in present],
                },
            )
            held = cursor.execute(_SQL["positions"], self._keys(present)).fetchall()
            positions = self._checked(held, ids, spans).positions
            cursor.execute(_SQL["delete_partition_faults"], self._keys(list(positions)))
            return held

        positions, broken, _ = self._checked(self._connection.transact(work), ids, spans)
        recreated = False
        for topic in {topic for topic, _ in positions}:
            recreated |= topic in self.unusable or self._ids.get(topic, ids[topic]) != ids[topic]
            self._ids[topic] = ids[topic]
            self.unusable.pop(topic, None)
        return AssignedPositions(positions, refused | broken, recreated)

    def look(self, partitions: Collection[TopicPartition]) -> AssignedPositions:
        """The result of `take`, without writing anything.

        Raises:
            Stopping: the process is asked to end.
        """
        ids, spans, refused = self._described(partitions)
        positions, broken, _ = self._checked(self._read(list(spans)), ids, spans)
        begun = {partition: span.low for partition, span in spans.items()}
        return AssignedPositions(
            {p: low for p, low in (begun | positions).items() if p not in broken}, refused | broken
        )

    def check(self) -> set[str]:
        """Check, after records were read and before they are committed, that they came from the log of the positions:
        the client follows a recreated topic silently. Waits while Kafka is away.

        Returns the topics of which nothing may be committed any more; `unusable` has the reasons.

        Raises:
            Stopping: the process is asked to end.
        """
        ids = dict(self._ids)
        found = self._topic_ids(set(ids))
        for _ in range(_ATTEMPTS - 1):
            if len(found) == len(ids) or self._wait(_PAUSE):
                break
            found = self._topic_ids(set(ids))
        self.compare(found)
        return set(self.unusable)

    def compare(self, found: Mapping[str, str], missing: Collection[str] | None = None) -> None:
        """Mark topics unusable whose id is not the one in `found`; one not found is missing if `missing` has it."""
        for topic, held in list(self._ids.items()):
            now = found.get(topic)
            if now == held or (now is None and missing is not None and topic not in missing):
                continue
            self.unusable[topic] = (
                f"topic {topic} is missing: the broker does not have it"
                if now is None
                else self._advised(_recreated(topic, held, now))
            )
            self._ids.pop(topic, None)

    def _described(
        self, partitions: Collection[TopicPartition]
    ) -> tuple[dict[str, str], dict[TopicPartition, Span], dict[TopicPartition, str]]:
        """Topic ids, first and next offsets, and the partitions that the broker does not have."""
        ids = self._topic_ids({topic for topic, _ in partitions}) if partitions else {}
        present = [partition for partition in partitions if partition[0] in ids]
        spans = self._answered(lambda: self._broker.spans(present)) if present else {}
        refused = {p: f"topic {p[0]} is missing: the broker does not have it" for p in partitions if p[0] not in ids}
        return ids, spans, refused

    def _checked(
        self, held: list[tuple[object, ...]], ids: Mapping[str, str], spans: Mapping[TopicPartition, Span]
    ) -> AssignedPositions:
        positions: Positions = {}
        refused: dict[TopicPartition, str] = {}
        for topic, number, topic_id, next_offset in held:
            partition, at = (str(topic), int(str(number))), int(str(next_offset))
            reason = _broken(partition, str(topic_id), at, ids[partition[0]], spans[partition])
            if reason is None:
                positions[partition] = at
            else:
                refused[partition] = self._advised(reason)
        return AssignedPositions(positions, refused)

    def _advised(self, reason: str) -> str:
        return f"{reason}; {self._remedy}"

    def reread(self, partitions: list[TopicPartition]) -> Positions:
        """Positions to which another owner has moved partitions.

        Raises:
            Stopping: the process is asked to end.
        """

        return {(str(topic), int(str(n))): int(str(at)) for topic, n, _, at in self._read(partitions)}

    def _read(self, partitions: list[TopicPartition]) -> list[tuple[object, ...]]:
        return self._connection.transact(
            lambda cursor: cursor.execute(_SQL["positions"], self._keys(partitions)).fetchall()
        )

    def _topic_ids(self, topics: set[str]) -> dict[str, str]:
        """Those that the broker has."""
        if not topics:
            return {}
        found = self._answered(lambda: self._broker.topic_ids(topics))
        return {topic: topic_id for topic, (topic_id, _) in found.items()}

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        attempt = 0
        while True:
            try:
                answer = ask()
            except BrokerAway as error:
                self._status.record_away("Kafka", str(error))
                attempt += 1
                if self._wait(pause(attempt)):
                    raise Stopping from None
            else:
                self._status.record_present("Kafka")
                return answer

    def _keys(self, partitions: list[TopicPartition]) -> dict[str, object]:
        return {
            "projection": self._projection,
            "topics": [topic for topic, _ in partitions],
            "partitions": [number for _, number in partitions],
        }


def _broken(partition: TopicPartition, held_id: str, held: int, topic_id: str, span: Span) -> str | None:
    """Why reading cannot go on from the position `held`; None: it can."""
    name = f"{partition[0]}[{partition[1]}]"
    if held_id != topic_id:
        return _recreated(partition[0], held_id, topic_id)
    if held < span.low:
        return (
            f"{name} was trimmed: the next event is at offset {held}, the oldest that is left at {span.low}; "
            f"{span.low - held} events are gone from the log"
        )
    if held > span.high:
        return (
            f"{name} lost its end: the position is {held}, but the log ends at {span.high}; "
            "the broker has lost acknowledged events"
        )
    return None


def _recreated(topic: str, before: str, now: str) -> str:
    return f"topic {topic} was recreated: the positions belong to topic id {before}, the broker now has {now}"
