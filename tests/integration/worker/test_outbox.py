"""The outbox when Kafka does not accept every row."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic
from psycopg_pool import ConnectionPool

from job_events.envelope import decode
from job_events.events import Counters, Finished, FinishedData, JobInfo, Progress, Requested, RequestedData, Then
from service_kit import kafka as clients
from service_kit.database import open_pool
from worker.dead_letters import DeadLetterSource, put_dead_letter
from worker.inbox import put_event
from worker.job import RunningJob
from worker.job_result import JobResult
from worker.outbox import OutboxSender

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
def test_a_row_that_is_too_large_is_set_aside_and_delays_no_other_row(
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


def test_rows_stay_when_the_producer_queue_is_full(bench: Any, pool: ConnectionPool, wait_until: WaitUntil) -> None:
    values = [str(number) for number in range(5)]
    put(pool, bench.topics.items, *values)
    sender = clients.ReconnectingProducer({"bootstrap.servers": bench.kafka, "queue.buffering.max.messages": 2})
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
            place=DeadLetterSource(bench.topics.chunks, 0, 7),
            key=key,
            value=value,
            consumer="test",
            source="test",
            time=datetime.now(UTC),
            reason="no chunk",
        )


@pytest.mark.parametrize("value", [b"\0" * 400_000, b'"' * 990_000, b"\xff" * 990_000])
def test_the_dead_letter_of_any_message_fits_into_its_topic(
    bench: Any, pool: ConnectionPool, wait_until: WaitUntil, value: bytes
) -> None:
    def done(_job: RunningJob) -> JobResult | None:
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": done}):
        put_letter(bench, pool, value, b"\0" * 1000)
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert letter.data.encoding == "base64"
    assert base64.b64decode(letter.data.value) == value


def test_a_message_with_a_large_key_has_a_dead_letter(bench: Any, pool: ConnectionPool, wait_until: WaitUntil) -> None:
    def done(_job: RunningJob) -> JobResult | None:
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": done}):
        put_letter(bench, pool, b'{"subject":"job-7"}' + b" " * 1_100_000, b"k" * 900_000)
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert (letter.subject, letter.data.truncated, letter.data.value_bytes) == ("job-7", True, 1_100_019)
    assert set(letter.data.key) == {"k"}


def test_a_missing_topic_or_an_invalid_topic_name_delays_only_its_own_rows(
    bench: Any, pool: ConnectionPool, wait_until: WaitUntil
) -> None:
    missing = bench.topics.items + "-missing"
    # More than a batch of them, at the head of the queue.
    put(pool, missing, *map(str, range(510)))
    put(pool, "no topic's name!", "never")
    put(pool, bench.topics.items, "first", "second")
    producer = clients.producer(bench.kafka, "test", delivery_timeout_ms=2_000)
    outbox = OutboxSender(pool, producer, topics=bench.topics, service="puller")

    def sent() -> bool:
        outbox.drain()
        return b"second" in bench.messages(bench.topics.items)

    wait_until(sent)
    assert bench.messages(bench.topics.items) == [b"first", b"second"]
    assert bench.rows(f"select count(*) from outbox where topic = '{missing}' and refused is null") == [(510,)]
    assert [topic for (topic,) in bench.rows("select topic from outbox where refused is not null")] == [
        "no topic's name!"
    ]
    wait_until(lambda: outbox.drain() or bench.dead_letters())
    (letter,) = bench.dead_letters()
    assert (letter.data.topic, letter.data.consumer, letter.data.value) == ("outbox.puller", "puller", "never")
    # Once the topic is there, its rows go on in their order.
    admin = AdminClient({"bootstrap.servers": bench.kafka})
    admin.create_topics([NewTopic(missing, 1, 1)])[missing].result(30)
    reader = clients.consumer(bench.kafka, missing, "test")
    reader.assign([TopicPartition(missing, 0, 0)])
    seen: list[bytes] = []

    def all_there() -> bool:
        outbox.drain()
        seen.extend(message.value() or b"" for message in reader.consume(1000, 0.2) if message.error() is None)
        return not bench.rows("select 1 from outbox where refused is null")

    wait_until(all_there)
    wait_until(lambda: all_there() and len(seen) >= 510)
    assert list(dict.fromkeys(seen)) == [str(number).encode() for number in range(510)]
    reader.close()


def test_an_item_that_is_too_large_is_a_dead_letter_with_its_job_and_the_job_ends(
    bench: Any, wait_until: WaitUntil
) -> None:
    def work(job: RunningJob) -> JobResult | None:
        with job.checkpoint() as checkpoint:
            checkpoint.item("large", "failed", {f"id-{number}": "x" * 500 for number in range(5000)})
            checkpoint.item("small", "failed")
            checkpoint.counters.count(failed=1, successful=1)
        return None

    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert letter.subject == job_id and letter.data.truncated
    assert "too large" in letter.data.reason and bench.topics.items in letter.data.reason
    assert [decode(value).data.item for value in bench.messages(bench.topics.items)] == ["small"]  # pyright: ignore[reportAttributeAccessIssue]


def test_an_end_that_is_too_large_is_sent_shortened(bench: Any, wait_until: WaitUntil) -> None:
    phases: list[Progress] = []

    def work(job: RunningJob) -> JobResult | None:
        job.counters.metadata["log"] = "x" * 3_000_000
        job.counters.count(successful=3)
        job.progress("telling much")
        wait_until(lambda: phases.extend(bench.events(job.id, Progress)) or phases)
        return None

    step = (Then("PULL_NHANH_CUSTOMERS", ("PULL_NHANH_PRODUCTS",)),)
    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        job_id = bench.request(then=step)
        wait_until(lambda: bench.end_of(job_id))
    end = bench.end_of(job_id).data
    assert (end.outcome, end.error.category, end.error.code) == ("error", "INTERNAL", "EVENT_TOO_LARGE")
    assert "ended as success" in end.error.message
    assert (end.counters.successful, end.metadata, end.then) == (3, {}, step)
    assert (phases[0].data.phase, phases[0].data.counters.successful) == ("telling much", 3)
    assert bench.rows("select outcome from inbox where job_type = 'PULL_NHANH_PRODUCTS'") == [("error",)]


def test_an_end_and_a_request_that_the_broker_refuses_are_shortened(
    bench: Any, pool: ConnectionPool, wait_until: WaitUntil
) -> None:
    """As where an operator has lowered the limit of the topic since."""
    limit = [ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)]
    names = (bench.topics.events, bench.topics.requests("puller"))
    admin = AdminClient({"bootstrap.servers": bench.kafka})
    for future in admin.incremental_alter_configs(
        [ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=limit) for name in names]
    ).values():
        future.result(30)
    job = JobInfo("PULL_NHANH_PRODUCTS", "shop")
    data = FinishedData(
        job=job, attempt=2, seq=7, outcome="success", counters=Counters(5, 5, 5), metadata={"x": "y" * 200_000}
    )
    end = bench.event(Finished, "large/2/7", "large", data, "large")
    child = bench.event(Requested, "child/0/0", "child", RequestedData(job=job, params={"query": "z" * 200_000}), "c")
    with pool.connection() as conn:
        put_event(conn, bench.topics.events, "large", end)
        put_event(conn, bench.topics.requests("puller"), "t/shop", child)
    outbox = OutboxSender(pool, clients.producer(bench.kafka, "test"), topics=bench.topics, service="puller")
    wait_until(lambda: outbox.drain() or (bench.end_of("large") and bench.end_of("child")))
    told = bench.end_of("large").data
    assert (told.outcome, told.error.code, told.attempt, told.seq) == ("error", "EVENT_TOO_LARGE", 2, 7)
    assert told.counters == Counters(5, 5, 5)
    unborn = bench.end_of("child").data
    assert (unborn.outcome, unborn.error.code, unborn.attempt) == ("error", "EVENT_TOO_LARGE", 0)
    wait_until(lambda: outbox.drain() or len(bench.dead_letters()) == 2)
    assert {letter.subject for letter in bench.dead_letters()} == {"large", "child"}
