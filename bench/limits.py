"""The limits of the machine: the rate of copying the same rows, and of reading the topic alone."""

import time
import uuid
from collections.abc import Sequence
from typing import LiteralString

import psycopg
from confluent_kafka import Consumer, TopicPartition

from bench.fill import PARTITIONS
from bench.stage import FullTopic
from job_events.envelope import decode
from service_kit.kafka import consumer

_CHUNK = 1 << 20  # bytes
_LONGEST = 300.0  # seconds that reading a whole topic may take


def copy_rates(database_url: str) -> tuple[float, float]:
    """Rows a second that one connection copies of the history that a projector has just written there.

    First into the very table, emptied and with its indexes, in text or binary form, whichever is faster; then
    in that form into a table without indexes. The bytes are made before the clock starts. The projector must
    have ended.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        forms: dict[LiteralString, list[bytes]] = {form: _dump(connection, form) for form in ("text", "binary")}
        count = connection.execute("SELECT count(*) FROM tracker.event").fetchone()
        rows = int(count[0]) if count else 0
        connection.execute("CREATE TABLE bench_plain (LIKE tracker.event)")
        rates: dict[LiteralString, float] = {}
        for form, chunks in forms.items():
            connection.execute("TRUNCATE tracker.event")
            connection.execute("CHECKPOINT")
            rates[form] = rows / _copy(connection, "tracker.event", form, chunks)
        best = max(rates, key=lambda form: rates[form])
        connection.execute("CHECKPOINT")
        return rates[best], rows / _copy(connection, "bench_plain", best, forms[best])


def _dump(connection: psycopg.Connection, form: LiteralString) -> list[bytes]:
    """All rows in the order of the table, in large pieces."""
    chunks: list[bytes] = []
    piece = bytearray()
    with connection.cursor().copy(f"COPY (SELECT * FROM tracker.event) TO STDOUT (FORMAT {form})") as copy:
        for data in copy:
            piece += data
            if len(piece) >= _CHUNK:
                chunks.append(bytes(piece))
                piece.clear()
    return [*chunks, bytes(piece)]


def _copy(connection: psycopg.Connection, table: LiteralString, form: LiteralString, chunks: Sequence[bytes]) -> float:
    """Seconds until the rows are committed."""
    began = time.monotonic()
    with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT {form})") as copy:
        for chunk in chunks:
            copy.write(chunk)
    return time.monotonic() - began


def consume_rate(kafka: str, topic: FullTopic, *, tuned: bool) -> float:
    """Events a second that are read and decoded to structs, from the first to the last, and nothing else done."""
    group = f"bench-{uuid.uuid4().hex}"
    if tuned:
        reader = consumer(kafka, group, group)
    else:
        reader = Consumer({"bootstrap.servers": kafka, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        reader.assign([TopicPartition(topic.topics.events, number, 0) for number in range(PARTITIONS)])
        read, began = 0, 0.0
        deadline = time.monotonic() + _LONGEST
        while read < topic.events:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{read:,} of {topic.events:,} events were read within {_LONGEST:.0f} s")
            for message in reader.consume(1000, 1):
                began = began or time.monotonic()
                decode(message.value())  # pyright: ignore[reportArgumentType] - bytes, as no deserializer is set
                read += 1
        return read / (time.monotonic() - began)
    finally:
        reader.close()
