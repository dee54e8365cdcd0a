"""Positions come from PostgreSQL: resets change nothing, and who was overtaken writes nothing."""

import json
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from job_tracker import bootstrap
from job_tracker.log.records import Record
from job_tracker.projector.batch import Batch
from job_tracker.projector.commit import Committer
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.store.postgres import RetryingConnection, connect
from job_tracker.store.status import Status
from service_kit.database import migrate
from service_kit.kafka_admin import create_topics

ROWS = "SELECT md5(string_agg(j::text, ',' ORDER BY job_id)), count(*), max(xmin::text) FROM tracker.job j"


def test_resetting_the_group_to_the_earliest_changes_no_row(
    *, system: Any, kafka: str, connection: Any, stream: Any, wait_until: Any
) -> None:
    events = stream.shaken(stream.jobs(20))
    system.send(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    system.end_projectors()
    before = connection.execute(ROWS).fetchone(), connection.execute("TABLE tracker.consumer_offset").fetchall()
    admin = AdminClient({"bootstrap.servers": kafka})
    group = JobsProjection(system.topics).name
    earliest = [TopicPartition(system.topics.events, number, 0) for number in range(6)]
    for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, earliest)]).values():
        future.result(120)
    extra = stream.job(77, attempts=0, progresses=0, finished=False)
    system.projector()
    wait_until(lambda: connection.execute("SELECT 1 FROM tracker.projector WHERE state = 'running'").fetchone())
    assert (
        connection.execute(ROWS).fetchone(),
        connection.execute("TABLE tracker.consumer_offset").fetchall(),
    ) == before
    system.send(extra)
    wait_until(lambda: system.count(connection, "event") == len(events) + 1, "the projector does not go on")


def test_who_is_paused_in_the_middle_of_a_copy_holds_up_the_next_owner_for_a_while_only(
    *, system: Any, database_url: str, connection: Any, stream: Any, wait_until: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("job_tracker.projector.heartbeat._SILENT", timedelta(seconds=2))
    first, second = stream.job(1), stream.job(2)
    system.send(first)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(first), "not read")
    system.end_projectors()
    # PostgreSQL itself ends no session that owes it the rest of a COPY, whatever time-outs it was given.
    with connect(database_url, options="-c transaction_timeout=1s") as paused, ExitStack() as copying:
        paused.execute("BEGIN; UPDATE tracker.consumer_offset SET applied_at = applied_at")
        copying.enter_context(paused.cursor().copy("COPY tracker.event FROM STDIN"))
        system.send(second)
        system.projector()
        wait_until(lambda: system.count(connection, "event") == len(first + second), "the next owner is held up")
        with pytest.raises(psycopg.OperationalError):
            copying.close()


def record(stream_event: dict[str, Any], offset: int, topic: str) -> Record:
    return Record(topic, 0, offset, datetime(2026, 4, 1, tzinfo=UTC), None, json.dumps(stream_event).encode())


def test_an_overtaken_projector_writes_nothing(
    *, system: Any, database_url: str, connection: Any, stream: Any, oracle: Any, shown: Any
) -> None:
    """Two committers hold the same position, as after a pause beyond the session time-out."""
    migrate(database_url, "tracker", ["job_tracker.store"])
    topic = system.topics.events
    connection.execute("INSERT INTO tracker.consumer_offset VALUES ('jobs', %s, 0, 'id', 0)", [topic])
    projection = JobsProjection(system.topics, name="jobs")
    assert projection.name.endswith("jobs")
    events = stream.job(1)
    early = [record(event, offset, topic) for offset, event in enumerate(events[:-1])]
    late = [record(event, offset, topic) for offset, event in enumerate(events)]
    connection.execute("UPDATE tracker.consumer_offset SET projection = %s", [projection.name])

    def owner() -> Committer[Any]:
        link = RetryingConnection(database_url, Status(lambda: 0.0), lambda _: False, session=projection.session)
        return Committer(link, projection)

    def batch(records: list[Record]) -> Batch[Any]:
        made = Batch(projection, records)
        made.seal({(topic, number): 0 for number in range(2)})
        return made

    zombie = owner()
    assert owner().commit(batch(late)) == set()
    before = connection.execute(ROWS).fetchone(), system.count(connection, "event")
    assert zombie.commit(batch(early)) == {(topic, 0)}
    assert zombie.fenced_batches == 1
    assert (connection.execute(ROWS).fetchone(), system.count(connection, "event")) == before
    assert shown(connection) == oracle(events)
    # What the zombie held of other partitions is still written.
    connection.execute("INSERT INTO tracker.consumer_offset VALUES (%s, %s, 1, 'id', 0)", [projection.name, topic])
    other = record(stream.job(2)[0], 0, topic)._replace(partition=1)
    assert zombie.commit(batch([*early, other])) == {(topic, 0)}
    assert system.count(connection, "job") == 2


def test_two_instances_start_on_an_empty_database(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    events = stream.shaken(stream.jobs(30))
    system.send(events)
    both = [system.process("projector", tmp_path / name) for name in ("a", "b")]
    wait_until(lambda: system.count(connection, "event") == len(events), (tmp_path / "a").read_text())
    assert shown(connection) == oracle(events)
    # One of them may still be starting: before it listens to signals, SIGTERM is the end without a word.
    at_work = "SELECT count(*) FROM tracker.projector"
    wait_until(lambda: connection.execute(at_work).fetchone() == (2,), "both projectors at work")
    for process in both:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(120) for process in both] == [0, 0]
    assert connection.execute("SELECT count(*) FROM tracker.projector").fetchone() == (0,)


def test_a_recreated_topic_is_stopped_with_a_sentence_and_no_other(
    *, system: Any, kafka: str, connection: Any, stream: Any, wait_until: Any
) -> None:
    system.send(stream.job(1))
    stop = system.projector()
    wait_until(lambda: system.count(connection, "job") == 1, "not read")
    stop.set()
    system.end_projectors()
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_topics([system.topics.events]).values():
        future.result(120)
    wait_until(lambda: system.topics.events not in admin.list_topics(timeout=120).topics, "not deleted")
    create_topics(kafka, system.topics)
    before = connection.execute(ROWS).fetchone(), system.count(connection, "event")
    system.send(stream.job(2))
    system.projector("b")
    told = "SELECT detail FROM tracker.projector WHERE state = 'partial'"
    wait_until(lambda: connection.execute(told).fetchone(), "it does not say so")
    (detail,) = connection.execute(told).fetchone()
    assert "was recreated" in detail and "`jobtrail rebuild --swap`" in detail
    assert (connection.execute(ROWS).fetchone(), system.count(connection, "event")) == before
    # The other topics are read on.
    asked = stream.job(3, attempts=0, progresses=0, finished=False)
    system.send(asked, system.topics.requests("puller"))
    wait_until(lambda: system.count(connection, "event") == before[1] + 1, "a topic that is whole is not read")


def test_no_row_stays_locked_while_kafka_is_asked(
    *, system: Any, connection: Any, database_url: str, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch waits for the answer outside its transaction; a topic that was recreated is not written from."""
    monkeypatch.setattr("job_tracker.projector.commit._PRECONDITION_TIMEOUT", 0.2)
    migrate(database_url, "tracker", ["job_tracker.store"])
    topic = system.topics.events
    projection = JobsProjection(system.topics, name="jobs")
    connection.execute("INSERT INTO tracker.consumer_offset VALUES (%s, %s, 0, 'id', 0)", [projection.name, topic])
    link = RetryingConnection(database_url, Status(lambda: 0.0), lambda _: False, session=projection.session)
    committer = Committer(link, projection)

    def batch(start: int) -> Batch[Any]:
        made = Batch(projection, [record(stream.job(start)[0], start, topic)])
        made.seal({(topic, 0): start})
        return made

    free = "SELECT next_offset FROM tracker.consumer_offset FOR UPDATE NOWAIT"
    with ThreadPoolExecutor(1) as threads:
        answer: Future[set[str]] = Future()
        writing = threads.submit(committer.commit, batch(0), answer)
        deadline = time.monotonic() + 120
        tries = 0
        while tries < 20 and time.monotonic() < deadline:  # free again and again: nobody holds it for longer
            try:
                assert connection.execute(free).fetchone() == (0,)
                tries += 1
            except psycopg.errors.LockNotAvailable:
                tries = 0
            time.sleep(0.05)
        assert tries == 20
        assert not writing.done()
        answer.set_result({"another topic"})
        assert writing.result(120) == set()
    assert connection.execute(free).fetchone() == (1,)
    broken: Future[set[str]] = Future()
    broken.set_result({topic})
    assert committer.commit(batch(1), broken) == {(topic, 0)}
    assert connection.execute(free).fetchone() == (1,)
    assert system.count(connection, "job") == 1
    link.close()


def test_a_transaction_that_met_another_is_run_again_from_its_beginning(*, system: Any, connection: Any) -> None:
    bootstrap.prepare_schema(system.settings, lambda _: False)
    link = RetryingConnection(system.database_url, Status(lambda: 0.0), lambda _: False)
    states = ["40P01", "40001"]

    def work(cursor: Any) -> str:
        cursor.execute(
            "INSERT INTO projector (projection, instance, state, detail, beat_at) VALUES ('p', 'i', '', '', now())"
        )
        if states:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{states.pop()}'; END $$")
        return "done"

    assert link.transact(work) == "done"
    link.close()
    assert link.retries == 2
    assert connection.execute("SELECT count(*) FROM tracker.projector").fetchone() == (1,)
