"""A rebuild over a log that has lost its beginning, its end or its topic: refused, or accepted once and for all."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.checked_producer import CheckedProducer
from tests.tracker_actions import JOBS, SHADOWS, archive_days, recreate, run, trim

POSITIONS = "SELECT topic, partition, first_offset, next_offset FROM tracker.consumer_offset ORDER BY 1, 2"
EVENTS = 'SELECT topic, partition, "offset", job_id FROM tracker.event ORDER BY 1, 2, 3'
LETTERS = 'SELECT topic, partition, "offset" FROM tracker.dead_letter ORDER BY 1, 2, 3'
EVERYTHING = (JOBS, POSITIONS, EVENTS, LETTERS, "SELECT r::text FROM tracker.rollup AS r ORDER BY 1")


def standing(connection: Any) -> list[Any]:
    return [connection.execute(query).fetchall() for query in EVERYTHING]


def whole(system: Any, connection: Any, folder: Path) -> None:
    """Nothing differs, nothing is lost, nothing is miscounted, nothing is left over."""
    done = run(system, "rebuild", folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "Lost" not in done.stdout
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    assert connection.execute(SHADOWS).fetchone() == (0,)


def refused(system: Any, connection: Any, folder: Path, said: str) -> None:
    """Without being told to accept a loss, one sentence and no change."""
    before = standing(connection)
    done = run(system, "rebuild", "--swap", folder=folder)
    assert (done.returncode, done.stdout.count("Lost")) == (2, 0)
    assert said in done.stderr and "--accept-loss" in done.stderr and len(done.stderr.splitlines()) == 1
    assert standing(connection) == before
    assert connection.execute(SHADOWS).fetchone() == (0,)


@pytest.fixture
def at(system: Any, stream: Any) -> dict[tuple[str, int], list[Any]]:
    """Jobs and poison, each record in a partition that the test knows: what the log holds, by partition."""
    placed: dict[tuple[str, int], list[Any]] = defaultdict(list)
    producer = CheckedProducer(system.kafka)
    for number, event in enumerate(stream.shaken(stream.jobs(30))):
        partition = (system.topics.events, stream.random.randrange(6))
        value = event if number % 9 else "poison"
        placed[partition].append(value)
        producer.produce(partition[0], json.dumps(value).encode(), b"key", partition=partition[1])
    producer.flush()
    return placed


def held(at: dict[tuple[str, int], list[Any]], lows: dict[tuple[str, int], int]) -> tuple[list[Any], list[Any]]:
    """The events and the positions of the poison that a log trimmed to `lows` still holds."""
    events: list[Any] = []
    letters: list[Any] = []
    for partition, values in sorted(at.items()):
        for offset, value in enumerate(values):
            if offset >= lows.get(partition, 0):
                events += [value] if isinstance(value, dict) else []
                letters += [(*partition, offset)] if isinstance(value, str) else []
    return events, letters


@pytest.fixture
def goes_on(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> Callable[..., None]:
    """Checks that projectors read on behind the records that the history holds, and that a rebuild has nothing to say.

    Those records are `events`, in any number of copies.
    """

    def check(events: list[Any], records: int) -> None:
        more = stream.job(90)
        system.send(more)
        wait_until(lambda: system.count(connection, "event") == records + len(more), "it does not go on")
        assert shown(connection) == oracle(events + more)
        whole(system, connection, tmp_path)

    return check


def test_a_loss_that_is_accepted_is_the_fold_of_what_the_log_still_holds(
    *,
    system: Any,
    connection: Any,
    at: Any,
    oracle: Any,
    shown: Any,
    goes_on: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    events, letters = held(at, {})
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    wait_until(lambda: system.count(connection, "dead_letter") == len(letters), "not read")
    topic = system.topics.events
    lows = {(topic, 0): 11, (topic, 2): 9, (topic, 3): len(at[topic, 3])}
    trim(system, *((*partition, low) for partition, low in lows.items()))
    refused(system, connection, tmp_path, f"{topic}[0]: offsets 0 to 11 have left the log")
    ends = {(topic, number): following for topic, number, _, following in connection.execute(POSITIONS)}
    done = run(system, "rebuild", "--accept-loss", "*", "--swap", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Lost: ") == 3
    left, left_letters = held(at, lows)
    assert shown(connection) == oracle(left)
    assert connection.execute(LETTERS).fetchall() == left_letters
    assert system.count(connection, "event") == len(left)
    found = {(topic, number): (first, following) for topic, number, first, following in connection.execute(POSITIONS)}
    assert found == {partition: (lows.get(partition, 0), end) for partition, end in ends.items()}
    # The projector has not stopped, and the accepted loss is not told again.
    goes_on(left, len(left))


@pytest.mark.long
def test_a_projector_that_fell_behind_the_log_goes_on_after_its_loss_was_accepted(
    *, system: Any, connection: Any, at: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.events
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(held(at, {})[0]), "not read")
    system.end_projectors()
    producer = CheckedProducer(system.kafka)
    end = len(at[topic, 1])
    for value in held(at, {})[0][:6]:
        at[topic, 1].append(value)
        producer.produce(topic, json.dumps(value).encode(), b"key", partition=1)
    producer.flush()
    trim(system, (topic, 1, end + 4))
    refused(system, connection, tmp_path, f"{topic}[1]: offsets 0 to {end + 4} have left the log")
    assert run(system, "rebuild", "--accept-loss", "*", "--swap", folder=tmp_path).returncode == 0
    system.projector()
    left = held(at, {(topic, 1): end + 4})[0]
    wait_until(lambda: system.count(connection, "event") == len(left), "the projector does not go on")
    assert shown(connection) == oracle(left)
    whole(system, connection, tmp_path)


@pytest.mark.long
def test_a_log_that_lost_its_end_is_followed_from_where_it_ends_now(
    *, system: Any, connection: Any, at: Any, goes_on: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic, events = system.topics.events, held(at, {})[0]
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    system.end_projectors()
    # As if the table had read five records that the brokers have lost since.
    connection.execute(
        "UPDATE tracker.consumer_offset SET next_offset = next_offset + 5 WHERE topic = %s AND partition = 4", [topic]
    )
    end = len(at[topic, 4])
    refused(system, connection, tmp_path, f"the log ends at {end}, but the table has read up to {end + 5}")
    done = run(system, "rebuild", "--accept-loss", "*", "--swap", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    system.projector()
    goes_on(events, len(events))


@pytest.mark.long
def test_a_topic_recreated_with_fewer_partitions_is_what_the_table_holds_afterwards(
    *,
    system: Any,
    connection: Any,
    at: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    goes_on: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    topic = system.topics.requests("puller")
    early = stream.job(40)[0]
    for _ in range(20):
        system.send([early], topic)
    system.projector()
    events = held(at, {})[0]
    wait_until(lambda: system.count(connection, "event") == len(events) + 20, "not read")
    system.end_projectors()
    before = standing(connection)
    recreate(system, system.topics.events, wait_until, partitions=2)
    late = stream.job(60)
    system.send(late)
    refused(system, connection, tmp_path, f"{system.topics.events}[5] is in the table, but the broker does not have it")
    assert standing(connection) == before
    done = run(system, "rebuild", "--accept-loss", "*", "--swap", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert shown(connection) == oracle([early, *late])
    system.projector()
    goes_on([early, *late], 20 + len(late))
    # What is known of the old topic's ends would be a lag for ever.
    ends = (
        "SELECT count(*) FROM tracker.partition_end AS e FULL JOIN tracker.consumer_offset AS o "
        "USING (topic, partition) WHERE e.end_offset IS DISTINCT FROM o.next_offset"
    )
    wait_until(lambda: connection.execute(ends).fetchone() == (0,), "an end of a log that is gone is known still")


def test_a_gap_between_archive_and_log_is_accepted_once_and_the_archive_still_needed(
    *, system: Any, connection: Any, at: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic, folder = system.topics.events, tmp_path / "archive"
    archive_days(system, folder)
    archived = {partition: len(values) for partition, values in at.items()}
    producer = CheckedProducer(system.kafka)
    for value in held(at, {})[0][:40]:
        at[topic, 1].append(value)
        producer.produce(topic, json.dumps(value).encode(), b"key", partition=1)
    producer.flush()
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(held(at, {})[0]), "not read")
    low = archived[topic, 1] + 15
    trim(system, (topic, 1, low))
    gap = f"{topic}[1]: offsets {archived[topic, 1]} to {low} are neither in the archive nor in the log"
    refused(system, connection, folder, gap)
    done = run(system, "rebuild", "--accept-loss", "*", "--swap", folder=folder)
    assert done.returncode == 0, done.stderr
    del at[topic, 1][archived[topic, 1] : low]
    assert shown(connection) == oracle(held(at, {})[0])
    whole(system, connection, folder)
    refused(
        system,
        connection,
        tmp_path,
        f"{topic}[1]: the table holds offsets 0 to {archived[topic, 1]} from an archive that is not here",
    )


@pytest.mark.long
def test_jobs_of_a_recreated_topic_need_its_archive_for_ever(
    *, system: Any, connection: Any, at: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic, folder, events = system.topics.events, tmp_path / "archive", held(at, {})[0]
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    system.end_projectors()
    archive_days(system, folder)
    recreate(system, topic, wait_until)
    late = stream.job(60)
    system.send(late)
    assert run(system, "rebuild", "--swap", folder=folder).returncode == 0
    assert shown(connection) == oracle(events + late)
    whole(system, connection, folder)
    refused(system, connection, tmp_path, "from an archive that is not here")
    done = run(system, "rebuild", "--swap", "--accept-loss", "*", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert shown(connection) == oracle(late)
    whole(system, connection, tmp_path)
