"""What leaves through the outbox when Kafka does not take every row."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from job_events import kafka as clients
from job_events.database import open_pool
from job_events.worker.job import Ending, RunningJob
from job_events.worker.letters import Place, put_dead_letter
from job_events.worker.outbox import OutboxSender

WaitUntil = Callable[..., None]
LIMIT = 2 * 1024 * 1024  # bytes of a message


@pytest.fixture
def pool(bench: Any) -> Iterator[ConnectionPool]:
    with open_pool(bench.database_url, "puller", 2) as pool:
        yield pool


def put(pool: ConnectionPool, topic: str, *values: str) -> None:
    with pool.connection() as conn:
        for value in values:
            conn.execute("insert into outbox (topic, key, value) values (%s, 'k', %s)", [topic, value])


# The first is refused by librdkafka, the second, with what surrounds a message on its way, by the broker.
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT - 100])
def test_a_row_that_is_too_large_is_set_aside_and_neither_repeats_nor_holds_up_others(
    bench: Any, pool: ConnectionPool, wait_until: WaitUntil, size: int
) -> None:
    put(pool, bench.topics.items, "before", "x" * size, "behind")
    outbox = OutboxSender(pool, clients.producer(bench.kafka, "test"))
    for _ in range(2):
        outbox.drain()
    put(pool, bench.topics.items, "last")
    outbox.drain()
    wait_until(lambda: b"last" in bench.messages(bench.topics.items))
    assert sorted(bench.messages(bench.topics.items)) == [b"before", b"behind", b"last"]
    ((kept, reason),) = bench.rows("select length(value), refused from outbox")
    assert kept == size and "too large" in reason


def test_a_full_queue_means_later(bench: Any, pool: ConnectionPool, wait_until: WaitUntil) -> None:
    values = [str(number) for number in range(5)]
    put(pool, bench.topics.items, *values)
    sender = clients.Sender({"bootstrap.servers": bench.kafka, "queue.buffering.max.messages": 2})
    outbox = OutboxSender(pool, sender)
    for left in (3, 1, 0):
        outbox.drain()
        assert bench.rows("select count(*) from outbox where refused is null") == [(left,)]
    wait_until(lambda: sorted(bench.messages(bench.topics.items)) == [value.encode() for value in values])


def put_letter(bench: Any, pool: ConnectionPool, value: bytes, key: bytes) -> None:
    with pool.connection() as conn:
        put_dead_letter(
            conn,
            bench.topics,
            place=Place(bench.topics.chunks, 0, 7),
            key=key,
            value=value,
            consumer="test",
            source="test",
            time=datetime.now(UTC),
            reason="no chunk",
        )


@pytest.mark.parametrize("value", [b"\0" * 400_000, b'"' * 990_000, b"\xff" * 990_000])
def test_the_letter_of_any_message_fits_into_its_topic(
    bench: Any, pool: ConnectionPool, wait_until: WaitUntil, value: bytes
) -> None:
    def done(_job: RunningJob) -> Ending | None:
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": done}):
        put_letter(bench, pool, value, b"\0" * 1000)
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert letter.data.encoding == "base64"
    assert base64.b64decode(letter.data.value) == value


def test_a_message_that_is_nearly_all_key_has_a_letter(bench: Any, pool: ConnectionPool, wait_until: WaitUntil) -> None:
    def done(_job: RunningJob) -> Ending | None:
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": done}):
        put_letter(bench, pool, b'{"subject":"job-7"}' + b" " * 1_100_000, b"k" * 900_000)
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert (letter.subject, letter.data.truncated, letter.data.value_bytes) == ("job-7", True, 1_100_019)
    assert set(letter.data.key) == {"k"}
