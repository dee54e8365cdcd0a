"""`rebuild --items` after the topics were recreated, trimmed or cut short, and after PostgreSQL was lost."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.sync_log import REPLAY_POSITIONS, SyncLog, read_sync_log, rebuild_items
from tests.tracker_actions import TOMORROW, archive_days, recreate, run, trim

from job_tracker import bootstrap
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow
from service_kit.sql_files import queries

MOMENT = datetime(2026, 9, 1, tzinfo=UTC)
ENDS = """
SELECT count(*) FROM tracker.partition_end AS e
FULL JOIN (SELECT * FROM tracker.consumer_offset WHERE projection LIKE '%tracker-items') AS o USING (topic, partition)
WHERE e.end_offset IS DISTINCT FROM o.next_offset
"""


@pytest.fixture
def synced(system: Any, stream: Any, connection: Any, wait_until: Any) -> SyncLog:
    return read_sync_log(system, stream, connection, wait_until)


@pytest.fixture
def stops(system: Any, wait_until: Any, tmp_path: Path) -> Callable[[str], None]:
    """Checks that the items projector, as people start it, stops reading there and says what helps."""

    def check(said: str) -> None:
        log = tmp_path / "items.log"
        process = system.process("items", log)
        wait_until(lambda: said in log.read_text(), "it does not say so")
        assert "`jobtrail rebuild --items`" in log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0

    return check


def refused(system: Any, connection: Any, log: SyncLog, folder: Path) -> str:
    """Without being told to accept a loss, one sentence and no change."""
    before = log.rows(), log.positions()
    done = run(system, "rebuild", "--items", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--accept-loss" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (log.rows(), log.positions()) == before
    assert connection.execute(REPLAY_POSITIONS).fetchone() == (0,)
    return done.stderr


def goes_on(system: Any, log: SyncLog, connection: Any, wait_until: Any, partitions: int = 6) -> None:
    """The projector reads on, without a gap and to the very end, and nothing that is gone counts as a lag."""
    system.projector(part="items")
    log.add(10, partitions=partitions)
    log.read()
    wait_until(lambda: connection.execute(ENDS).fetchone() == (0,), "an end of a log that is gone is known still")
    system.end_projectors()


@pytest.mark.long
def test_items_of_a_recreated_topic_stay_and_its_projector_goes_on(
    *, system: Any, connection: Any, synced: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    """The new topic has fewer partitions, so two of its positions move and four go; those of the letters stay."""
    topic = system.topics.items
    old, places = synced.rows(), synced.positions()
    recreate(system, topic, wait_until, partitions=2)
    for number in range(1000, 1020):
        synced.send(json.dumps(synced.item(number)).encode(), number % 2)
    system.flush()
    stops("was recreated")
    said = refused(system, connection, synced, tmp_path)
    assert f"{topic}[0] was recreated" in said and f"{topic}[5] is in the table, but the broker does not" in said
    assert system.topics.dead_letters not in said
    said = rebuild_items(system, tmp_path, "--accept-loss")
    assert said.count("Lost: ") == 6 and "20 item rows written, 0 dead letters added" in said
    items, letters = synced.rows()
    assert [row for row in items if row in old[0]] == old[0] and len(items) == len(old[0]) + 20
    assert letters == old[1]
    now = synced.positions()
    assert {p: place for p, place in now.items() if p[0] != topic} == {
        p: place for p, place in places.items() if p[0] != topic
    }
    assert {p: place[1:] for p, place in now.items() if p[0] == topic} == {(topic, 0): [0, 10], (topic, 1): [0, 10]}
    assert connection.execute(REPLAY_POSITIONS).fetchone() == (0,)
    goes_on(system, synced, connection, wait_until, partitions=2)
    # The loss was accepted once and for all, and what has been read is there.
    assert "Nothing was missing" in rebuild_items(system, tmp_path)


def test_a_log_trimmed_before_it_was_read_loses_just_that(
    *, system: Any, connection: Any, synced: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.items
    places, (old, _) = synced.positions(), synced.rows()
    end = places[topic, 1][2]
    synced.add(6, partition=1)
    # What was trimmed in another partition had been read: it is in the table, and nothing of it is lost.
    trim(system, (topic, 1, end + 4), (topic, 2, 3))
    stops("was trimmed")
    said = refused(system, connection, synced, tmp_path)
    assert said.count("offsets") == 1
    assert f"{topic}[1]: offsets {end} to {end + 4} have left the log, and no archive has them" in said
    said = rebuild_items(system, tmp_path, "--accept-loss")
    assert said.count("Lost: ") == 1 and f"goes on from where this reading ended: {topic}[1]\n" in said
    now = synced.positions()
    assert now.pop((topic, 1))[2] == end + 4
    assert now == {partition: place for partition, place in places.items() if partition != (topic, 1)}
    system.projector(part="items")
    synced.read()
    assert len(synced.rows()[0]) == len(old) + 2
    system.end_projectors()
    goes_on(system, synced, connection, wait_until)


def test_what_was_trimmed_before_it_was_read_comes_from_the_archive(
    *, system: Any, connection: Any, synced: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.items
    end = synced.positions()[topic, 1][2]
    synced.add(6, partition=1)
    archive_days(system, tmp_path / "archive")
    trim(system, (topic, 1, end + 4))
    stops("was trimmed")
    refused(system, connection, synced, tmp_path)
    old, _ = synced.rows()
    said = rebuild_items(system, tmp_path / "archive")
    assert "Lost" not in said and "4 item rows written" in said
    assert synced.positions()[topic, 1][2] == end + 4
    goes_on(system, synced, connection, wait_until)
    assert len(synced.rows()[0]) == len(old) + 6 + 10


@pytest.mark.long
def test_a_log_that_lost_its_end_is_followed_from_where_it_ends_now(
    *, system: Any, connection: Any, synced: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    """New items stand at offsets that the table has seen once already; none of them is passed over."""
    topic, (old, _) = system.topics.items, synced.rows()
    end = synced.positions()[topic, 4][2]
    connection.execute(
        "UPDATE tracker.consumer_offset SET next_offset = next_offset + 5 WHERE topic = %s AND partition = 4", [topic]
    )
    stops("lost its end")
    said = refused(system, connection, synced, tmp_path)
    assert f"{topic}[4]: the log ends at {end}, but the table has read up to {end + 5}" in said
    rebuild_items(system, tmp_path, "--accept-loss")
    assert synced.positions()[topic, 4][2] == end
    synced.add(9, partition=4)
    goes_on(system, synced, connection, wait_until)
    assert len(synced.rows()[0]) == len(old) + 9 + 10


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_letter_of_a_topic_made_anew_takes_the_place_of_the_old_ones(
    *, system: Any, connection: Any, order: tuple[int, int]
) -> None:
    """A new topic gives the same offsets to other records; a rebuild may come to the old topic's last."""
    bootstrap.prepare_schema(system.settings, lambda _: False)
    records = [
        Record("jobs.requests.puller", 0, 5, MOMENT + timedelta(days=days), b"key", value)
        for days, value in ((0, b"old"), (60, b"new"))
    ]
    letters = [DeadLetterRow(record, "is no JSON", None, "puller").row() for record in records]
    connection.execute("SET search_path TO tracker")
    for which in (*order, *order):
        connection.execute(queries("job_tracker.store", "commit.sql")["insert_dead_letter"], letters[which])
    assert connection.execute("SELECT value FROM dead_letter").fetchall() == [(b"new",)]


@pytest.mark.long
def test_archive_and_log_bring_items_and_letters_back_after_postgresql_was_lost(
    *, system: Any, connection: Any, synced: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    """Of a topic that was recreated, and trimmed later, to the last column."""
    topic, folder = system.topics.items, tmp_path / "archive"
    archive_days(system, folder)
    recreate(system, topic, wait_until)
    synced.add(30)
    assert "Lost" not in rebuild_items(system, folder), "the archive has all of the old topic"
    system.projector(part="items")
    synced.add(30)
    synced.read()
    system.end_projectors()
    archive_days(system, folder, TOMORROW + timedelta(days=1))
    lows = {partition: place[2] for partition, place in synced.positions().items()}
    trim(system, *((*partition, low) for partition, low in lows.items()))
    system.projector(part="items")
    synced.add(20)
    synced.read()
    system.end_projectors()
    before = synced.rows()
    assert [len(rows) for rows in before] == [140, 56]
    for name in ("item", "dead_letter", "consumer_offset", "partition_end"):
        connection.execute(f"DELETE FROM tracker.{name}")
    command = [str(Path(sys.executable).with_name("jobtrail")), "rebuild", "--items"]
    done = subprocess.run(
        command,
        env=system.environment | {"JOBTRAIL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "Lost" not in done.stdout
    assert synced.rows() == before
    assert "Nothing was missing" in rebuild_items(system, folder)
    # A projector of the new database has begun where the log begins, and that is no loss either.
    system.projector(part="items")
    synced.read()
    system.end_projectors()
    assert synced.rows() == before
    assert "Nothing was missing" in rebuild_items(system, tmp_path)
