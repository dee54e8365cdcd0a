"""`rebuild --items` brings the sync log together with what archive and log hold, whatever has become of the topics."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console
from tests.rebuilds import TOMORROW, archive_days, recreate, run, trim

from job_events.clock import SystemClock
from job_events.database import migrate
from job_events.sql_files import queries
from job_tracker import bootstrap_rebuild
from job_tracker.projector.broker import Broker
from job_tracker.projector.positions import LogBroken
from job_tracker.rebuild.checks import RebuildRefused
from job_tracker.rebuild.items import ItemsRebuild

ITEMS = "SELECT * FROM tracker.item ORDER BY event_id"
LETTERS = 'SELECT * FROM tracker.dead_letter ORDER BY topic, partition, "offset", consumer'
PLACES = """
SELECT topic, partition, topic_id, first_offset, next_offset FROM tracker.consumer_offset
WHERE projection LIKE '%tracker-items' ORDER BY 1, 2
"""
AGAIN = "SELECT count(*) FROM tracker.consumer_offset WHERE projection LIKE '%tracker-items.again'"
ENDS = """
SELECT count(*) FROM tracker.partition_end AS e
FULL JOIN (SELECT * FROM tracker.consumer_offset WHERE projection LIKE '%tracker-items') AS o USING (topic, partition)
WHERE e.end_offset IS DISTINCT FROM o.next_offset
"""
ACTIONS = ("created", "updated", "skipped", "failed")


class SyncLog:
    """Puts items, copies of them, poison and letters where the test wants them, and knows what became of them."""

    def __init__(self, system: Any, stream: Any, connection: Any, wait_until: Callable[..., None]) -> None:
        self._system, self._stream, self._connection = system, stream, connection
        self._wait_until = wait_until
        self._number = 0

    def item(self, number: int, job: str = "") -> dict[str, Any]:
        """One of several bodies under the event id of this number."""
        job = job or f"job-{self._stream.run}-{number % 5}"
        data = {
            "job": {"type": "PRODUCT_SYNC", "account": "shop"},
            "attempt": 0,
            "item": f"sku-{number}",
            "action": self._stream.random.choice(ACTIONS),
        }
        return self._stream.envelope("item.recorded.v1", job, f"{job}/sku-{number}/0", self._stream.start, data)

    def put(self, count: int, partition: int | None = None, partitions: int = 6) -> None:
        """New items, a third of them twice; if no partition is named, poison and letters among them too."""
        chance = self._stream.random
        for _ in range(count):
            self._number += 1
            for _ in range(chance.choice([1, 1, 2])) if partition is None else (0,):
                where = chance.randrange(partitions) if partition is None else partition
                self.place(json.dumps(self.item(self._number)).encode(), where)
            if partition is None and self._number % 5 == 0:
                self.place(b"poison", chance.randrange(partitions))
                self._system.send_raw(self._letter(self._number), self._system.topics.dead_letters)
        self._system.flush()

    def place(self, value: bytes, partition: int) -> None:
        self._system.send_raw(value, self._system.topics.items, partition=partition)

    def rows(self) -> tuple[list[Any], list[Any]]:
        """Items and dead letters, whole."""
        return self._connection.execute(ITEMS).fetchall(), self._connection.execute(LETTERS).fetchall()

    def places(self) -> dict[tuple[str, int], tuple[str, int, int]]:
        """Topic id, first and next offset by partition."""
        return {(topic, number): rest for topic, number, *rest in self._connection.execute(PLACES)}

    def read(self) -> None:
        """Wait until a projector has come to the end of each partition."""
        broker = Broker(self._system.kafka)
        topics = (self._system.topics.items, self._system.topics.dead_letters)
        partitions = [(t, n) for t, (_, count) in broker.topic_ids(topics).items() for n in range(count)]
        ends = broker.ends(partitions)

        def reached() -> bool:
            return {partition: following for partition, (_, _, following) in self.places().items()} == ends

        self._wait_until(reached, 60, "the sync log was not read")

    def _letter(self, number: int) -> bytes:
        data = {"topic": "jobs.requests.puller", "partition": 0, "offset": number, "consumer": "puller", "reason": "no"}
        return json.dumps(
            {
                "type": "job.dead-letter.v1",
                "specversion": "1.0",
                "id": f"puller/{number}",
                "source": "jobtrail/puller/1",
                "time": "2026-03-01T08:00:00Z",
                "data": data,
            }
        ).encode()


@pytest.fixture
def table(system: Any, stream: Any, connection: Any, wait_until: Any) -> SyncLog:
    """A sync log that was read, and whose projector has ended."""
    migrate(system.database_url, "tracker", ["job_tracker"])
    log = SyncLog(system, stream, connection, wait_until)
    log.put(60)
    system.projector(part="items")
    log.read()
    system.end_projectors()
    return log


@pytest.fixture
def stops(system: Any, tmp_path: Path) -> Callable[[str], None]:
    """Checks that the items projector, as people start it, stops and says what helps."""

    def check(said: str) -> None:
        log = tmp_path / "items.log"
        assert system.process("items", log).wait(60) == 3
        assert said in log.read_text() and "`jobtrail rebuild --items`" in log.read_text()

    return check


def again(system: Any, folder: Path, *options: str) -> str:
    """Run it to its good end; what it said."""
    done = run(system, "rebuild", "--items", *options, folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def refused(system: Any, connection: Any, log: SyncLog, folder: Path) -> str:
    """Without being told to accept a loss, one sentence and no change."""
    before = log.rows(), log.places()
    done = run(system, "rebuild", "--items", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--accept-loss" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (log.rows(), log.places()) == before
    assert connection.execute(AGAIN).fetchone() == (0,)
    return done.stderr


def goes_on(system: Any, log: SyncLog, connection: Any, wait_until: Any, partitions: int = 6) -> None:
    """The projector reads on, without a gap and to the very end, and nothing that is gone counts as a lag."""
    system.projector(part="items")
    log.put(10, partitions=partitions)
    log.read()
    system.end_projectors()
    wait_until(lambda: connection.execute(ENDS).fetchone() == (0,), 30, "an end of a log that is gone is known still")


def test_items_of_a_recreated_topic_stay_and_its_projector_goes_on(
    *, system: Any, connection: Any, table: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    """The new topic has fewer partitions, so two of its positions move and four go; those of the letters stay."""
    topic = system.topics.items
    old, places = table.rows(), table.places()
    recreate(system, topic, wait_until, partitions=2)
    for number in range(1000, 1020):
        table.place(json.dumps(table.item(number)).encode(), number % 2)
    system.flush()
    stops("was recreated")
    said = refused(system, connection, table, tmp_path)
    assert f"{topic}[0] was recreated" in said and f"{topic}[5] is in the table, but the broker does not" in said
    assert system.topics.dead_letters not in said
    said = again(system, tmp_path, "--accept-loss")
    assert said.count("Lost: ") == 6 and "20 item rows written, 0 dead letters added" in said
    items, letters = table.rows()
    assert [row for row in items if row in old[0]] == old[0] and len(items) == len(old[0]) + 20
    assert letters == old[1]
    now = table.places()
    assert {p: place for p, place in now.items() if p[0] != topic} == {
        p: place for p, place in places.items() if p[0] != topic
    }
    assert {p: place[1:] for p, place in now.items() if p[0] == topic} == {(topic, 0): [0, 10], (topic, 1): [0, 10]}
    assert connection.execute(AGAIN).fetchone() == (0,)
    goes_on(system, table, connection, wait_until, partitions=2)
    # The loss was accepted once and for all, and what has been read is there.
    assert "Nothing was missing" in again(system, tmp_path)


def test_a_log_trimmed_before_it_was_read_loses_just_that(
    *, system: Any, connection: Any, table: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.items
    places, (old, _) = table.places(), table.rows()
    end = places[topic, 1][2]
    table.put(6, partition=1)
    # What was trimmed in another partition had been read: it is in the table, and nothing of it is lost.
    trim(system, (topic, 1, end + 4), (topic, 2, 3))
    stops("was trimmed")
    said = refused(system, connection, table, tmp_path)
    assert said.count("offsets") == 1
    assert f"{topic}[1]: offsets {end} to {end + 4} have left the log, and no archive has them" in said
    said = again(system, tmp_path, "--accept-loss")
    assert said.count("Lost: ") == 1 and f"goes on from where this reading ended: {topic}[1]\n" in said
    now = table.places()
    assert now.pop((topic, 1))[2] == end + 4
    assert now == {partition: place for partition, place in places.items() if partition != (topic, 1)}
    system.projector(part="items")
    table.read()
    assert len(table.rows()[0]) == len(old) + 2
    system.end_projectors()
    goes_on(system, table, connection, wait_until)


def test_what_was_trimmed_before_it_was_read_comes_from_the_archive(
    *, system: Any, connection: Any, table: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    topic = system.topics.items
    end = table.places()[topic, 1][2]
    table.put(6, partition=1)
    archive_days(system, tmp_path / "archive")
    trim(system, (topic, 1, end + 4))
    stops("was trimmed")
    refused(system, connection, table, tmp_path)
    old, _ = table.rows()
    said = again(system, tmp_path / "archive")
    assert "Lost" not in said and "4 item rows written" in said
    assert table.places()[topic, 1][2] == end + 4
    goes_on(system, table, connection, wait_until)
    assert len(table.rows()[0]) == len(old) + 6 + 10


def test_a_log_that_lost_its_end_is_followed_from_where_it_ends_now(
    *, system: Any, connection: Any, table: SyncLog, stops: Any, wait_until: Any, tmp_path: Path
) -> None:
    """New items stand at offsets that the table has seen once already; none of them is passed over."""
    topic, (old, _) = system.topics.items, table.rows()
    end = table.places()[topic, 4][2]
    connection.execute(
        "UPDATE tracker.consumer_offset SET next_offset = next_offset + 5 WHERE topic = %s AND partition = 4", [topic]
    )
    stops("lost its end")
    said = refused(system, connection, table, tmp_path)
    assert f"{topic}[4]: the log ends at {end}, but the table has read up to {end + 5}" in said
    again(system, tmp_path, "--accept-loss")
    assert table.places()[topic, 4][2] == end
    table.put(9, partition=4)
    goes_on(system, table, connection, wait_until)
    assert len(table.rows()[0]) == len(old) + 9 + 10


def test_archive_and_log_bring_items_and_letters_back_after_postgresql_was_lost(
    *, system: Any, connection: Any, table: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    """Of a topic that was recreated, and trimmed later, to the last column."""
    topic, folder = system.topics.items, tmp_path / "archive"
    archive_days(system, folder)
    recreate(system, topic, wait_until)
    table.put(30)
    assert "Lost" not in again(system, folder), "the archive has all of the old topic"
    system.projector(part="items")
    table.put(30)
    table.read()
    system.end_projectors()
    archive_days(system, folder, TOMORROW + timedelta(days=1))
    lows = {partition: place[2] for partition, place in table.places().items()}
    trim(system, *((*partition, low) for partition, low in lows.items()))
    system.projector(part="items")
    table.put(20)
    table.read()
    system.end_projectors()
    before = table.rows()
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
    assert table.rows() == before
    assert "Nothing was missing" in again(system, folder)
    # A projector of the new database has begun where the log begins, and that is no loss either.
    system.projector(part="items")
    table.read()
    system.end_projectors()
    assert table.rows() == before
    assert "Nothing was missing" in again(system, tmp_path)


def test_beside_a_living_projector_nothing_is_lost_doubled_or_held_up(
    *, system: Any, connection: Any, table: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    gone = connection.execute("DELETE FROM tracker.item WHERE item ~ '3$' RETURNING 1").rowcount
    letters = connection.execute("DELETE FROM tracker.dead_letter WHERE consumer = 'puller'").rowcount
    assert gone and letters
    system.projector(part="items")
    stop = threading.Event()
    failures: list[Any] = []

    def write() -> None:
        while not stop.is_set():
            table.put(20)
            table.read()

    def watch() -> None:
        """Nobody but the projector moves a healthy position, and it never goes back."""
        with psycopg.connect(system.database_url, autocommit=True) as own:
            last: dict[Any, int] = {}
            while not stop.is_set():
                now = {(topic, number): following for topic, number, *_, following in own.execute(PLACES)}
                assert all(following >= last.get(partition, 0) for partition, following in now.items())
                last = now

    threads = [threading.Thread(target=work) for work in (write, watch)]
    threading.excepthook = lambda arguments: failures.append(arguments.exc_value)
    for thread in threads:
        thread.start()
    try:
        said = [again(system, tmp_path) for _ in range(3)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        threading.excepthook = threading.__excepthook__
    assert failures == []
    # Deleted rows of which two copies lay in different batches would count twice: one batch has taken them all.
    assert f"{gone} item rows written, {letters} dead letters added" in said[0]
    assert all("Nothing was missing" in one for one in said[1:])
    table.read()
    assert connection.execute("SELECT state FROM tracker.projector").fetchall() == [("running",)]
    system.end_projectors()
    before = table.rows()
    assert len(before[0]) > 100
    # From an empty table the log alone gives the same rows.
    connection.execute("DELETE FROM tracker.item; DELETE FROM tracker.dead_letter")
    again(system, tmp_path)
    assert table.rows() == before


def test_items_of_deleted_jobs_do_not_come_back(
    *, system: Any, connection: Any, stream: Any, table: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    """However long ago the job was deleted."""
    gone = f"job-{stream.run}-2"
    deleted = stream.envelope(
        "job.deleted.v1",
        gone,
        f"{gone}/deleted",
        datetime.now(UTC) - timedelta(days=200),
        {"job": {"type": "PRODUCT_SYNC", "account": "shop"}, "requested_by": "Bình", "reason": "asked for"},
    )
    system.send([deleted])
    system.projector()
    wait_until(lambda: system.count(connection, "event") == 1, 60, "not read")
    kept = [row for row in table.rows()[0] if row[5] != gone]
    assert 0 < len(kept) < 60
    connection.execute("DELETE FROM tracker.item")
    assert f"{len(kept)} item rows written" in again(system, tmp_path)
    assert table.rows()[0] == kept
    assert "Nothing was missing" in again(system, tmp_path)


class Fixed:
    """A clock that stands."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def test_what_retention_has_taken_does_not_come_back(
    *, system: Any, connection: Any, table: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    since = max(row[4] for rows in table.rows() for row in rows) + timedelta(milliseconds=1)
    wait_until(lambda: datetime.now(UTC) > since, 30, "time stands")
    system.projector(part="items")
    table.put(20)
    table.read()
    system.end_projectors()
    kept = tuple([row for row in rows if row[4] >= since] for rows in table.rows())
    assert [len(rows) for rows in kept] == [20, 8]
    connection.execute("DELETE FROM tracker.item; DELETE FROM tracker.dead_letter")
    settings = system.settings.model_copy(update={"jobtrail_items_days": 3})
    out = StringIO()
    for _ in range(2):
        bootstrap_rebuild.run_items_rebuild(
            settings, Fixed(since + timedelta(days=3)), Console(file=out), archive=tmp_path, accept_loss=False
        )
        assert table.rows() == kept
    assert "Nothing was missing" in out.getvalue()


@pytest.fixture
def held_up(system: Any, connection: Any, wait_until: Any, tmp_path: Path) -> Callable[[], Any]:
    """A run that gets no further than to its first row, as long as the context is not left."""

    @contextmanager
    def start() -> Iterator[subprocess.Popen[str]]:
        with psycopg.connect(system.database_url) as blocker:
            blocker.execute("LOCK TABLE tracker.item IN SHARE MODE")
            process = subprocess.Popen(
                [sys.executable, "-m", "job_tracker", "rebuild", "--items", "--archive", str(tmp_path)],
                env=system.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'tracker.item'::regclass AND NOT granted"
            wait_until(lambda: connection.execute(waiting).fetchone() == (1,), 60, "it does not begin")
            yield process

    return start


def test_a_run_is_alone_and_nobody_sees_its_positions(
    *, system: Any, connection: Any, table: SyncLog, held_up: Any, tmp_path: Path
) -> None:
    freshness = queries("job_tracker", "freshness.sql")["freshness"]
    names = {
        "projection": f"{system.topics.prefix}tracker-items",
        "topics": [system.topics.items, system.topics.dead_letters],
        "alive_within": timedelta(seconds=5),
    }

    def seen() -> Any:
        return connection.execute(freshness, names).fetchone()[2], table.places()

    before = seen()
    with held_up() as process:
        assert connection.execute(AGAIN).fetchone() == (9,)
        second = run(system, "rebuild", "--items", folder=tmp_path)
        assert (second.returncode, second.stdout) == (2, "")
        assert "another one is at work" in second.stderr
        assert connection.execute(AGAIN).fetchone() == (9,), "the second has taken the first one's positions"
        assert seen() == before
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Nothing was missing" in said
    assert (seen(), connection.execute(AGAIN).fetchone()) == (before, (0,))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_cut_off_leaves_nothing_that_matters(
    *, system: Any, connection: Any, table: SyncLog, held_up: Any, tmp_path: Path, ending: signal.Signals
) -> None:
    before, places = table.rows(), table.places()
    gone = connection.execute("DELETE FROM tracker.item WHERE item ~ '3$'").rowcount
    with held_up() as process:
        process.send_signal(ending)
        _, said = process.communicate(timeout=30)
    left = connection.execute(AGAIN).fetchone()
    if ending == signal.SIGKILL:
        assert (process.returncode, left) == (-signal.SIGKILL, (9,))
    else:
        assert (process.returncode, left) == (130, (0,))
        assert said == "rebuild: interrupted; what was merged until then stays; run it again for the rest\n"
    assert table.places() == places
    assert f"{gone} item rows written" in again(system, tmp_path)
    assert (table.rows(), table.places()) == (before, places)
    assert connection.execute(AGAIN).fetchone() == (0,)


def test_a_projector_that_has_moved_on_meanwhile_keeps_its_position(
    *, system: Any, connection: Any, table: SyncLog, monkeypatch: Any, tmp_path: Path
) -> None:
    """It held in memory what the log has lost since: then there is nothing to mend."""
    topic = system.topics.items
    end = table.places()[topic, 1][2]
    table.put(6, partition=1)
    trim(system, (topic, 1, end + 4))
    read = ItemsRebuild.read

    def and_move(rebuild: ItemsRebuild) -> None:
        read(rebuild)
        connection.execute(
            "UPDATE tracker.consumer_offset SET next_offset = %s "
            "WHERE projection LIKE '%%tracker-items' AND topic = %s AND partition = 1 AND next_offset = %s",
            [end + 5, topic, end],
        )

    monkeypatch.setattr(ItemsRebuild, "read", and_move)
    out = StringIO()
    bootstrap_rebuild.run_items_rebuild(
        system.settings, SystemClock(), Console(file=out), archive=tmp_path, accept_loss=True
    )
    assert "goes on from" not in out.getvalue()
    assert table.places()[topic, 1][2] == end + 5


def test_a_topic_recreated_while_it_was_read_mends_nothing(
    *, system: Any, table: SyncLog, wait_until: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    """The position of another partition, which this run was to mend, stays as it was too."""
    topic = system.topics.items
    end = table.places()[topic, 1][2]
    table.put(6, partition=1)
    trim(system, (topic, 1, end + 4))
    places = table.places()
    begin = ItemsRebuild.begin

    def and_recreate(rebuild: ItemsRebuild, *, accept_loss: bool) -> list[str]:
        losses = begin(rebuild, accept_loss=accept_loss)
        recreate(system, topic, wait_until)
        table.put(200)
        return losses

    monkeypatch.setattr(ItemsRebuild, "begin", and_recreate)
    with pytest.raises((RebuildRefused, LogBroken)):
        bootstrap_rebuild.run_items_rebuild(
            system.settings, SystemClock(), Console(file=StringIO()), archive=tmp_path, accept_loss=True
        )
    assert table.places() == places


def test_items_and_swap_exclude_each_other(*, system: Any, tmp_path: Path) -> None:
    done = run(system, "rebuild", "--items", "--swap", folder=tmp_path)
    assert done.returncode == 2
    assert "argument --swap: not allowed with argument --items" in done.stderr
