"""After a gap in the log: it is skipped with one command, and no row becomes older unless that is asked for its job."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.checked_producer import CheckedProducer
from tests.tracker_actions import recreate, run, trim

ROW = "SELECT j::text FROM tracker.job AS j WHERE job_id = %s"
ROWS = "SELECT job_id, j::text FROM tracker.job AS j"
PARTITION = 1


def skip(system: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "job_tracker", "skip-gap", *arguments],
        env=system.environment | {"COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def put(system: Any) -> Callable[[list[Any]], None]:
    """Puts events into one partition, one after the other."""
    producer = CheckedProducer(system.kafka)

    def send(events: list[Any]) -> None:
        for event in events:
            producer.produce(system.topics.events, json.dumps(event).encode(), b"key", partition=PARTITION)
        producer.flush()

    return send


@pytest.fixture
def running(system: Any, connection: Any, stream: Any, put: Any, wait_until: Any) -> list[Any]:
    """A finished job, and the first events of one that runs; all are read, and the projector has ended."""
    events = stream.job(1, attempts=1) + stream.job(2, attempts=1, finished=False)[:2]
    put(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    system.end_projectors()
    return events


def test_a_trimmed_gap_is_told_and_skipped_and_no_row_changes(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    put: Any,
    running: list[Any],
    wait_until: Any,
    tmp_path: Path,
) -> None:
    topic, at = system.topics.events, len(running)
    lost, left = stream.job(3), stream.job(4)
    put(lost + left)
    trim(system, (topic, PARTITION, at + len(lost)))
    before = connection.execute(ROWS).fetchall()
    system.projector("b")
    faults = "SELECT reason FROM tracker.log_fault"
    wait_until(lambda: connection.execute(faults).fetchone(), "the gap is not noticed")
    assert "jobtrail skip-gap" in connection.execute(faults).fetchone()[0]
    asked = skip(system)
    assert (asked.returncode, asked.stderr) == (1, ""), asked.stderr
    assert f"{topic}[{PARTITION}]: offsets {at} to {at + len(lost)} are lost, up to {len(lost)} records" in asked.stdout
    assert "not before 20" in asked.stdout and "not after 20" in asked.stdout
    finished, unfinished = running[0]["subject"], running[-1]["subject"]
    assert unfinished in asked.stdout and finished not in asked.stdout
    assert connection.execute(faults).fetchone()
    done = skip(system, "--yes")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    # The projector at work goes on by itself.
    wait_until(lambda: system.count(connection, "event") == at + len(left), "it does not go on")
    wait_until(lambda: connection.execute(faults).fetchone() is None, "the fault stays")
    assert set(before) <= set(connection.execute(ROWS).fetchall())
    assert "There is no gap" in skip(system).stdout
    # The tables hold more than the log from now on, and a rebuild knows.
    refused = run(system, "rebuild", "--swap", folder=tmp_path)
    assert refused.returncode == 2 and f"holds offsets 0 to {at}" in refused.stderr
    for _ in range(2):  # and the second one as well
        done = run(system, "rebuild", "--swap", "--accept-loss", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert finished in done.stdout
        assert set(before) <= set(connection.execute(ROWS).fetchall())
        assert system.count(connection, "event") == at + len(left)
        assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    put(stream.job(5))
    wait_until(lambda: system.count(connection, "event") == at + len(left + stream.job(5)), "it does not go on")


@pytest.mark.long
def test_two_gaps_of_one_partition_are_both_known_later(
    *, system: Any, connection: Any, stream: Any, put: Any, running: list[Any], wait_until: Any, tmp_path: Path
) -> None:
    topic, read, end = system.topics.events, len(running), len(running)
    for number in (3, 4):
        put(stream.job(number) + stream.job(number + 10))
        end += len(stream.job(number))
        trim(system, (topic, PARTITION, end))
        assert skip(system, "--yes").returncode == 0
        system.projector(str(number))
        read += len(stream.job(number + 10))
        wait_until(lambda read=read: system.count(connection, "event") == read, "it does not go on")
        system.end_projectors()
        end += len(stream.job(number + 10))
    before = connection.execute(ROWS).fetchall()
    done = run(system, "rebuild", "--swap", "--accept-loss", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Lost: ") == 2
    assert sorted(connection.execute(ROWS).fetchall()) == sorted(before)
    assert system.count(connection, "event") == read


def test_a_recreated_topic_and_a_lost_end_are_skipped_too(
    *, system: Any, connection: Any, stream: Any, put: Any, running: list[Any], wait_until: Any
) -> None:
    topic, before = system.topics.events, connection.execute(ROWS).fetchall()
    # As if the table had read three records that the broker has lost since.
    connection.execute(
        "UPDATE tracker.consumer_offset SET next_offset = next_offset + 3 WHERE topic = %s AND partition = %s",
        [topic, PARTITION],
    )
    done = skip(system, "--yes")
    assert done.returncode == 0 and f"the log ends at {len(running)}" in done.stdout, done.stderr
    system.projector("b")
    put(stream.job(3))
    wait_until(lambda: system.count(connection, "event") == len(running + stream.job(3)), "it does not go on")
    recreate(system, topic, wait_until, partitions=3)
    put(stream.job(4))
    done = skip(system, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"{topic}[{PARTITION}]: the topic was recreated" in done.stdout
    assert f"{topic}[5]: the broker does not have this partition" in done.stdout
    wait_until(
        lambda: system.count(connection, "event") == len(running + stream.job(3) + stream.job(4)), "it does not go on"
    )
    faults = "SELECT count(*) FROM tracker.log_fault"
    wait_until(lambda: connection.execute(faults).fetchone() == (0,), "a fault stays")
    assert set(before) <= set(connection.execute(ROWS).fetchall())


def test_items_are_skipped_by_the_same_command(*, system: Any, connection: Any, wait_until: Any) -> None:
    topic = system.topics.items
    system.projector(part="items")
    system.send_raw(b"poison", topic, partition=2)
    system.flush()
    wait_until(lambda: system.count(connection, "dead_letter") == 1, "not read")
    system.end_projectors()
    for _ in range(3):
        system.send_raw(b"poison", topic, partition=2)
    system.flush()
    trim(system, (topic, 2, 3))
    done = skip(system, "--yes")
    assert done.returncode == 0 and f"{topic}[2]: offsets 1 to 3 are lost" in done.stdout, done.stderr
    system.projector("b", part="items")
    wait_until(lambda: system.count(connection, "dead_letter") == 2, "it does not go on")


@pytest.mark.long
def test_a_rebuild_makes_those_jobs_older_that_were_named(
    *, system: Any, connection: Any, stream: Any, put: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.events
    jobs = [stream.job(number, attempts=1, progresses=1) for number in range(4)]
    # The ends of the first three come first and are trimmed; one of them has nothing else. The fourth loses nothing.
    ends = [events[-1] for events in jobs[:3]]
    kept = [event for events in jobs[:2] for event in events[:-1]] + jobs[3]
    put(ends + kept)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(ends + kept), "not read")
    trim(system, (topic, PARTITION, len(ends)))
    first, second, third, fourth = (events[0]["subject"] for events in jobs)

    def row(job: str) -> Any:
        return connection.execute(ROW, [job]).fetchone()

    before = {job: row(job) for job in (first, second, third, fourth)}
    refused = run(system, "rebuild", "--swap", folder=tmp_path)
    assert (refused.returncode, "--accept-loss" in refused.stderr) == (2, True)
    told = run(system, "rebuild", "--accept-loss", folder=tmp_path)
    assert told.returncode == 0, told.stdout
    for job in (first, second):
        assert f"{job} (" in told.stdout and "by the log RUNNING" in told.stdout
    assert f"{third} (" in told.stdout and "by the log unknown" in told.stdout
    assert fourth not in told.stdout
    done = run(system, "rebuild", "--swap", "--accept-loss", first, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    state = "SELECT state FROM tracker.job WHERE job_id = %s"
    assert connection.execute(state, [first]).fetchone() == ("running",)
    assert {job: row(job) for job in (second, third, fourth)} == {job: before[job] for job in (second, third, fourth)}
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    done = run(system, "rebuild", "--swap", "--accept-loss", second, third, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert connection.execute(state, [second]).fetchone() == ("running",)
    assert (row(third), row(fourth)) == (None, before[fourth])


def test_a_deleted_job_whose_deletion_is_lost_stays_deleted(
    *, system: Any, connection: Any, stream: Any, put: Any, wait_until: Any, tmp_path: Path
) -> None:
    events = stream.job(1, attempts=1, progresses=1)
    job = events[0]["subject"]
    info = events[0]["data"]["job"]
    deletion = stream.envelope("job.deleted.v1", job, f"{job}/deleted", stream.start, {"job": info})
    put([deletion, *events])
    system.projector()
    wait_until(lambda: system.count(connection, "event") == 1 + len(events), "not read")
    trim(system, (system.topics.events, PARTITION, 1))
    before = connection.execute(ROW, [job]).fetchone()
    done = run(system, "rebuild", "--swap", "--accept-loss", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert connection.execute(ROW, [job]).fetchone() == before
    assert connection.execute("SELECT deleted FROM tracker.job").fetchall() == [(True,)]
