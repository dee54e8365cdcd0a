"""The positions of a projection as a rebuild reads and writes them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from job_tracker.log.records import Span, TopicPartition
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "offsets.sql")
_POSITIONS = queries("job_tracker.store", "commit.sql")["positions"]
_FAULTS = queries("job_tracker.store", "commit.sql")["delete_partition_faults"]


@dataclass(frozen=True, slots=True)
class LivePosition:
    """Where the live table stands in a partition: it holds [first_offset, next_offset) of the topic with that id."""

    topic_id: str
    first_offset: int
    next_offset: int


class Stretch(NamedTuple):
    """Offsets of one partition of the topic with that id."""

    topic_id: str
    partition: TopicPartition
    span: Span


def live_positions(connection: Connection, projection: str) -> dict[TopicPartition, LivePosition]:
    """Where the live table stands, by partition."""
    return _positions(connection.execute(_SQL["live_positions"], {"projection": projection}).fetchall())


def lock_positions(connection: Connection, projection: str) -> dict[TopicPartition, LivePosition]:
    """The same, locked until the end of the transaction."""
    return _positions(connection.execute(_SQL["lock_positions"], {"projection": projection}).fetchall())


def live_earlier(connection: Connection, projection: str) -> list[Stretch]:
    """What the live table holds besides the ranges of its positions."""
    rows = connection.execute(_SQL["live_earlier"], {"projection": projection}).fetchall()
    return [
        Stretch(str(topic_id), (str(topic), int(str(number))), Span(int(str(first)), int(str(following))))
        for topic, number, topic_id, first, following in rows
    ]


def set_positions(connection: Connection, projection: str, places: Mapping[TopicPartition, LivePosition]) -> None:
    """Store the positions of the tables that the connection finds."""
    connection.execute(
        _SQL["set_positions"],
        {
            "projection": projection,
            **_names(places),
            "topic_ids": [place.topic_id for place in places.values()],
            "first_offsets": [place.first_offset for place in places.values()],
            "next_offsets": [place.next_offset for place in places.values()],
        },
    )


def reached(connection: Connection, projection: str, partitions: Collection[TopicPartition]) -> int:
    """The sum of the positions at which the tables that the connection finds stand in these partitions."""
    rows = connection.execute(_POSITIONS, {"projection": projection, **_names(partitions)}).fetchall()
    return sum(int(str(following)) for *_, following in rows)


def insert_earlier(
    connection: Connection, projection: str, topic_id: str, spans: Mapping[TopicPartition, Span]
) -> None:
    """Store what the tables hold besides the ranges of their positions."""
    connection.execute(
        _SQL["insert_earlier"],
        {
            "projection": projection,
            "topic_id": topic_id,
            **_names(spans),
            "first_offsets": [span.low for span in spans.values()],
            "next_offsets": [span.high for span in spans.values()],
        },
    )


def insert_stretches(connection: Connection, projection: str, stretches: Iterable[Stretch]) -> None:
    """The same, of several topics."""
    for stretch in stretches:
        insert_earlier(connection, projection, stretch.topic_id, {stretch.partition: stretch.span})


def delete_empty(connection: Connection, projection: str, partitions: Collection[TopicPartition]) -> None:
    """Delete empty ranges of partitions whose offsets will be assigned again."""
    connection.execute(_SQL["delete_empty"], {"projection": projection, **_names(partitions)})


def delete_faults(connection: Connection, projection: str, partitions: Collection[TopicPartition]) -> None:
    """Delete the faults of partitions that can be read again, or no longer exist."""
    connection.execute(_FAULTS, {"projection": projection, **_names(partitions)})


def delete_positions(connection: Connection, projection: str, partitions: Collection[TopicPartition]) -> None:
    """Delete the live positions of partitions that the broker no longer has."""
    connection.execute(_SQL["delete_positions"], {"projection": projection, **_names(partitions)})


def delete_projection(connection: Connection, projection: str) -> None:
    """Delete all positions of this projection."""
    connection.execute(_SQL["delete_projection"], {"projection": projection})


def delete_ends(connection: Connection, partitions: Collection[TopicPartition]) -> None:
    """Delete the ends of logs that no longer exist: they would be a lag for ever."""
    connection.execute(_SQL["delete_ends"], _names(partitions))


def _positions(rows: list[tuple[object, ...]]) -> dict[TopicPartition, LivePosition]:
    return {
        (str(topic), int(str(number))): LivePosition(str(topic_id), int(str(first)), int(str(following)))
        for topic, number, topic_id, first, following in rows
    }


def _names(partitions: Collection[TopicPartition]) -> dict[str, object]:
    return {"topics": [topic for topic, _ in partitions], "partitions": [number for _, number in partitions]}
