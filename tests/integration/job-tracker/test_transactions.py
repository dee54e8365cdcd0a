"""Transaction markers and aborted records: they take offsets, are no events, and keep nobody waiting."""

import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from tests.api_answers import shown as answered
from tests.tracker_actions import archive_days, run, trim

from job_events.tokens import encode_token
from job_tracker.log.broker import Broker

POSITIONS = "SELECT topic, partition, next_offset FROM tracker.consumer_offset"
# An idle projector leaves these rows as they are.
WRITTEN = "SELECT xmin::text, topic, partition FROM tracker.consumer_offset ORDER BY 2, 3"


def ends(system: Any, *topics: str) -> dict[tuple[str, int], int]:
    broker = Broker(system.kafka, attempts=10)  # a partition that was just made has no leader yet
    counts = broker.topic_ids(topics)
    return broker.ends([(topic, number) for topic in topics for number in range(counts[topic][1])])


def stand(system: Any, connection: Any, wanted: dict[tuple[str, int], int]) -> bool:
    if system.count(connection, "consumer_offset") < 1:
        return False
    found = {(topic, number): at for topic, number, at in connection.execute(POSITIONS)}
    return all(found.get(partition) == end for partition, end in wanted.items())


@pytest.fixture
def transactional(system: Any) -> Callable[[], Producer]:
    def make() -> Producer:
        producer = Producer({"bootstrap.servers": system.kafka, "transactional.id": f"test-{uuid.uuid4()}"})
        producer.init_transactions(120)
        return producer

    return make


def put(producer: Producer, topic: str, events: list[Any], partition: int) -> None:
    for event in events:
        producer.produce(topic, json.dumps(event).encode(), event["subject"].encode(), partition=partition)
    producer.flush(120)


def transact(producer: Producer, topic: str, events: list[Any], partition: int, *, kept: bool = True) -> None:
    producer.begin_transaction()
    put(producer, topic, events, partition)
    (producer.commit_transaction if kept else producer.abort_transaction)(120)


@pytest.mark.long
def test_positions_reach_the_end_behind_markers_and_aborted_records(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    transactional: Any,
    start_api: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    topic, requests = system.topics.events, system.topics.requests("puller")
    url, _ = start_api()
    events, taken_back = stream.jobs(9), stream.job(50)
    producer = transactional()
    for number in range(3):  # markers in the middle; the first partition ends with one
        transact(producer, topic, events[number::9], 0)
    transact(producer, topic, events[3::9], 1)
    transact(producer, topic, taken_back, 1, kept=False)  # aborted records at the end
    transact(producer, topic, taken_back, 2, kept=False)  # and in the middle
    transact(producer, topic, events[4::9], 2)
    transact(producer, topic, taken_back, 3, kept=False)  # a partition without a record
    transact(producer, requests, taken_back[:1], 0, kept=False)  # a topic without a record
    system.send([event for number in range(5, 9) for event in events[number::9]])
    system.projector()
    lifecycle = ends(system, *system.topics.lifecycle())
    wait_until(lambda: stand(system, connection, lifecycle), "a position does not reach the end")
    assert shown(connection) == oracle(events)
    assert system.count(connection, "dead_letter") == 0

    def measured() -> Any:
        return httpx.get(f"{url}/freshness", timeout=120).json()["jobs"]

    wait_until(lambda: measured()["freshness"]["lag_seconds"] is not None, "never fresh")
    wait_until(lambda: {(p["topic"], p["partition"]): p["end_offset"] for p in measured()["partitions"]} == lifecycle)
    assert measured()["freshness"]["lag_events"] == 0
    as_of = measured()["freshness"]["as_of"]
    wait_until(lambda: measured()["freshness"]["as_of"] > as_of, "an idle log behind a marker ages")
    with httpx.Client(base_url=url, timeout=120) as api:
        assert answered(api, "/jobs", encode_token(lifecycle))["freshness"]["lag_events"] == 0
    # A restart takes up at the end, and what comes then is read.
    system.end_projectors()
    system.projector("b")
    more = stream.job(60)
    system.send(more)
    wait_until(lambda: system.count(connection, "event") == len(events + more), "it does not go on")
    transact(producer, topic, stream.job(61), 0, kept=False)
    wait_until(
        lambda: stand(system, connection, ends(system, topic)), "a position does not reach the end while it is read"
    )
    assert run(system, "audit", "--all", folder=tmp_path).returncode == 0
    archive_days(system, tmp_path / "archive")
    done = run(system, "rebuild", "--swap", folder=tmp_path / "archive")
    assert done.returncode == 0, done.stderr
    assert shown(connection) == oracle(events + more)
    assert stand(system, connection, ends(system, topic))


def test_items_reach_the_end_too(
    *, system: Any, connection: Any, stream: Any, transactional: Any, start_api: Any, wait_until: Any
) -> None:
    producer = transactional()
    transact(producer, system.topics.items, stream.job(1), 0)  # no item: each is a dead letter
    transact(producer, system.topics.items, stream.job(2), 1, kept=False)
    transact(producer, system.topics.dead_letters, stream.job(2), 0, kept=False)
    system.projector(part="items")
    wanted = ends(system, system.topics.items, system.topics.dead_letters)
    wait_until(lambda: stand(system, connection, wanted), "a position does not reach the end")
    assert system.count(connection, "dead_letter") == len(stream.job(1))


def test_what_lies_behind_an_open_transaction_waits_and_is_not_called_fresh(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    transactional: Any,
    start_api: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    topic = system.topics.events
    url, _ = start_api()
    events = stream.job(1)
    producer, other = transactional(), transactional()
    transact(producer, topic, events, 0)
    system.projector()
    wait_until(lambda: stand(system, connection, ends(system, topic)), "not read")
    producer.begin_transaction()
    put(producer, topic, stream.job(2), 0)
    late = stream.job(3)
    transact(other, topic, late, 0)

    def lag() -> int:
        return httpx.get(f"{url}/freshness", timeout=120).json()["jobs"]["freshness"]["lag_events"]

    wait_until(lambda: lag() == len(stream.job(2)) + len(late) + 1, "what waits is not told")
    assert shown(connection) == oracle(events)
    # Nobody who reads the whole log waits for the transaction.
    assert run(system, "audit", "--all", folder=tmp_path).returncode == 0
    assert run(system, "rebuild", folder=tmp_path).returncode == 0
    archive_days(system, tmp_path / "archive")
    producer.abort_transaction(120)
    wait_until(lambda: stand(system, connection, ends(system, topic)), "the end is not reached")
    wait_until(lambda: lag() == 0, "lag after the transaction ended")
    assert shown(connection) == oracle(events + late)
    archive_days(system, tmp_path / "archive")
    assert run(system, "rebuild", folder=tmp_path / "archive").returncode == 0


def test_an_idle_partition_trimmed_behind_a_marker_has_lost_nothing(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    transactional: Any,
    wait_until: Any,
) -> None:
    topic = system.topics.events
    events = stream.job(1)
    producer = transactional()
    transact(producer, topic, events, 0)
    transact(producer, topic, stream.job(2), 1, kept=False)
    system.projector()
    wanted = ends(system, topic)
    wait_until(lambda: stand(system, connection, wanted), "not read")
    trim(system, (topic, 0, wanted[topic, 0]), (topic, 1, wanted[topic, 1]))
    more = stream.job(3)
    transact(producer, topic, more, 0)
    wait_until(lambda: system.count(connection, "event") == len(events + more), "stopped at work")
    system.end_projectors()
    trim(system, (topic, 0, ends(system, topic)[topic, 0] - 1))  # up to the marker, not behind it
    system.projector("b")
    last = stream.job(4)
    transact(producer, topic, last, 0)
    wait_until(lambda: system.count(connection, "event") == len(events + more + last), "stopped at the start")
    assert shown(connection) == oracle(events + more + last)


def test_an_idle_projector_writes_no_position(
    *, system: Any, connection: Any, stream: Any, transactional: Any, wait_until: Any
) -> None:
    transact(transactional(), system.topics.events, stream.job(1), 0)
    system.projector()
    wait_until(lambda: stand(system, connection, ends(system, system.topics.events)), "not read")
    before = connection.execute(WRITTEN).fetchall()
    beats = "SELECT max(beat_at) FROM tracker.projector"
    for _ in range(4):
        (beat,) = connection.execute(beats).fetchone()
        wait_until(lambda beat=beat: connection.execute(beats).fetchone()[0] > beat, "no beat")
    assert connection.execute(WRITTEN).fetchall() == before


def test_a_stream_is_resumed_across_markers_without_a_reset(
    *, system: Any, connection: Any, stream: Any, transactional: Any, start_api: Any, wait_until: Any
) -> None:
    topic = system.topics.events
    url, _ = start_api()
    producer = transactional()
    transact(producer, topic, stream.job(1), 0)
    system.projector()
    wait_until(lambda: stand(system, connection, ends(system, topic)), "not read")

    def told(last: str | None, wanted: set[str]) -> tuple[list[str], str]:
        """The events of a stream until it has told of `wanted`, or of being fresh; and the id of the last."""
        names, place, found = [], "", set[str]()
        headers = {"Last-Event-ID": last} if last else {}
        with httpx.stream("GET", f"{url}/stream", headers=headers, timeout=120) as answer:
            for line in answer.iter_lines():
                name, _, rest = line.partition(": ")
                if name == "event":
                    names.append(rest)
                elif name == "id":
                    place = rest
                elif name == "data":
                    found |= {job["job_id"] for job in json.loads(rest).get("jobs", [])}
                elif not line and place and (wanted <= found):
                    return names, place
        raise AssertionError("the stream ended")

    first = stream.job(1)[0]["subject"]
    names, place = told(None, {first})
    assert names == ["snapshot"]
    transact(producer, topic, stream.job(2), 0, kept=False)
    kept = stream.job(3)
    transact(producer, topic, kept, 0)
    transact(producer, topic, stream.job(4), 0, kept=False)
    wait_until(lambda: stand(system, connection, ends(system, topic)), "not read")
    names, place = told(place, {kept[0]["subject"]})
    assert "reset" not in names
    # A way that holds nothing but markers and aborted records.
    transact(producer, topic, stream.job(5), 0, kept=False)
    wait_until(lambda: stand(system, connection, ends(system, topic)), "not read")
    names, _ = told(place, set())
    assert "reset" not in names


def test_two_owners_never_pass_what_the_other_has_not_read(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, transactional: Any, wait_until: Any
) -> None:
    """Rebalances while transactions come: an end that an old owner has seen moves nobody's position."""
    topic = system.topics.events
    events = stream.jobs(40)
    producer = transactional()
    done = threading.Event()

    def produce() -> None:
        for number in range(0, len(events), 5):
            transact(producer, topic, events[number : number + 5], number % 6)
            transact(producer, topic, events[:2], (number + 1) % 6, kept=False)
        done.set()

    first = system.projector("a", jobtrail_batch_events=7)
    writer = threading.Thread(target=produce)
    writer.start()
    for number in range(4):
        second = system.projector(f"b{number}", jobtrail_batch_events=7)
        held = system.count(connection, "event")
        wait_until(lambda held=held: done.is_set() or system.count(connection, "event") > held, "no progress")
        first.set()
        first = second
    writer.join(120)
    wait_until(lambda: stand(system, connection, ends(system, topic)), "the end is not reached")
    assert system.count(connection, "event") == len(events)
    assert shown(connection) == oracle(events)
