"""`rebuild --items` beside a living projector: what comes back, what does not, and what is left when it is cut off."""

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
from tests.sync_log import POSITIONS, REPLAY_POSITIONS, SyncLog, read_sync_log, rebuild_items
from tests.tracker_actions import meanwhile, recreate, run, trim

from job_tracker import bootstrap_rebuild
from job_tracker.errors import LogBroken, RebuildRefused
from job_tracker.rebuild.items_rebuild import ItemsRebuild
from service_kit.clock import SystemClock
from service_kit.sql_files import queries


@pytest.fixture
def synced(system: Any, stream: Any, connection: Any, wait_until: Any) -> SyncLog:
    return read_sync_log(system, stream, connection, wait_until)


@pytest.mark.long
def test_beside_a_living_projector_nothing_is_lost_doubled_or_held_up(
    *, system: Any, connection: Any, synced: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    gone = connection.execute("DELETE FROM tracker.item WHERE item ~ '3$' RETURNING 1").rowcount
    letters = connection.execute("DELETE FROM tracker.dead_letter WHERE consumer = 'puller'").rowcount
    assert gone and letters
    system.projector(part="items")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            synced.add(20)
            synced.read()

    def watch() -> None:
        """Nobody but the projector moves a healthy position, and it never goes back."""
        with psycopg.connect(system.database_url, autocommit=True) as own:
            last: dict[Any, int] = {}
            while not stop.is_set():
                now = {(topic, number): following for topic, number, *_, following in own.execute(POSITIONS)}
                assert all(following >= last.get(partition, 0) for partition, following in now.items())
                last = now

    with meanwhile(stop, write, watch, seconds=60):
        said = [rebuild_items(system, tmp_path) for _ in range(3)]
    # Deleted rows of which two copies lay in different batches would count twice: one batch has taken them all.
    assert f"{gone} item rows written, {letters} dead letters added" in said[0]
    assert all("Nothing was missing" in one for one in said[1:])
    synced.read()
    assert connection.execute("SELECT state FROM tracker.projector").fetchall() == [("running",)]
    system.end_projectors()
    before = synced.rows()
    assert len(before[0]) > 100
    # From an empty table the log alone gives the same rows.
    connection.execute("DELETE FROM tracker.item; DELETE FROM tracker.dead_letter")
    rebuild_items(system, tmp_path)
    assert synced.rows() == before


def test_items_of_deleted_jobs_do_not_come_back(
    *, system: Any, connection: Any, stream: Any, synced: SyncLog, wait_until: Any, tmp_path: Path
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
    wait_until(lambda: system.count(connection, "event") == 1, "not read")
    kept = [row for row in synced.rows()[0] if row[5] != gone]
    assert 0 < len(kept) < 60
    connection.execute("DELETE FROM tracker.item")
    assert f"{len(kept)} item rows written" in rebuild_items(system, tmp_path)
    assert synced.rows()[0] == kept
    assert "Nothing was missing" in rebuild_items(system, tmp_path)


class Fixed:
    """A clock that stands."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def test_what_retention_has_taken_does_not_come_back(
    *, system: Any, connection: Any, synced: SyncLog, wait_until: Any, tmp_path: Path
) -> None:
    since = max(row[4] for rows in synced.rows() for row in rows) + timedelta(milliseconds=1)
    wait_until(lambda: datetime.now(UTC) > since, "time stands")
    system.projector(part="items")
    synced.add(20)
    synced.read()
    system.end_projectors()
    kept = tuple([row for row in rows if row[4] >= since] for rows in synced.rows())
    assert [len(rows) for rows in kept] == [20, 8]
    connection.execute("DELETE FROM tracker.item; DELETE FROM tracker.dead_letter")
    settings = system.settings.model_copy(update={"jobtrail_items_days": 3})
    out = StringIO()
    for _ in range(2):
        bootstrap_rebuild.run_items_rebuild(
            settings, Fixed(since + timedelta(days=3)), Console(file=out), archive=tmp_path, accept_loss=False
        )
        assert synced.rows() == kept
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
            wait_until(lambda: connection.execute(waiting).fetchone() == (1,), "it does not begin")
            yield process

    return start


def test_a_run_is_alone_and_nobody_sees_its_positions(
    *, system: Any, connection: Any, synced: SyncLog, held_up: Any, tmp_path: Path
) -> None:
    freshness = queries("job_tracker.store", "freshness.sql")["freshness"]
    names = {
        "projection": f"{system.topics.prefix}tracker-items",
        "topics": [system.topics.items, system.topics.dead_letters],
        "alive_within": timedelta(seconds=5),
    }

    def seen() -> Any:
        return connection.execute(freshness, names).fetchone()[2], synced.positions()

    before = seen()
    with held_up() as process:
        assert connection.execute(REPLAY_POSITIONS).fetchone() == (9,)
        second = run(system, "rebuild", "--items", folder=tmp_path)
        assert (second.returncode, second.stdout) == (2, "")
        assert "another one is at work" in second.stderr
        assert connection.execute(REPLAY_POSITIONS).fetchone() == (9,), "the second has taken the first one's positions"
        assert seen() == before
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "Nothing was missing" in said
    assert (seen(), connection.execute(REPLAY_POSITIONS).fetchone()) == (before, (0,))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_cut_off_leaves_nothing_that_matters(
    *, system: Any, connection: Any, synced: SyncLog, held_up: Any, tmp_path: Path, ending: signal.Signals
) -> None:
    before, places = synced.rows(), synced.positions()
    gone = connection.execute("DELETE FROM tracker.item WHERE item ~ '3$'").rowcount
    with held_up() as process:
        process.send_signal(ending)
        _, said = process.communicate(timeout=120)
    left = connection.execute(REPLAY_POSITIONS).fetchone()
    if ending == signal.SIGKILL:
        assert (process.returncode, left) == (-signal.SIGKILL, (9,))
    else:
        assert (process.returncode, left) == (130, (0,))
        assert said == "rebuild: interrupted; what was merged until then stays; run it again for the rest\n"
    assert synced.positions() == places
    assert f"{gone} item rows written" in rebuild_items(system, tmp_path)
    assert (synced.rows(), synced.positions()) == (before, places)
    assert connection.execute(REPLAY_POSITIONS).fetchone() == (0,)


def test_a_projector_that_has_moved_on_meanwhile_keeps_its_position(
    *, system: Any, connection: Any, synced: SyncLog, monkeypatch: Any, tmp_path: Path
) -> None:
    """It held in memory what the log has lost since: then there is nothing to mend."""
    topic = system.topics.items
    end = synced.positions()[topic, 1][2]
    synced.add(6, partition=1)
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
    assert synced.positions()[topic, 1][2] == end + 5


def test_a_topic_recreated_while_it_was_read_mends_nothing(
    *, system: Any, synced: SyncLog, wait_until: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    """The position of another partition, which this run was to mend, stays as it was too."""
    topic = system.topics.items
    end = synced.positions()[topic, 1][2]
    synced.add(6, partition=1)
    trim(system, (topic, 1, end + 4))
    places = synced.positions()
    begin = ItemsRebuild.begin

    def and_recreate(rebuild: ItemsRebuild, *, accept_loss: bool) -> list[str]:
        losses = begin(rebuild, accept_loss=accept_loss)
        recreate(system, topic, wait_until)
        synced.add(200)
        return losses

    monkeypatch.setattr(ItemsRebuild, "begin", and_recreate)
    with pytest.raises((RebuildRefused, LogBroken)):
        bootstrap_rebuild.run_items_rebuild(
            system.settings, SystemClock(), Console(file=StringIO()), archive=tmp_path, accept_loss=True
        )
    assert synced.positions() == places


def test_items_and_swap_exclude_each_other(*, system: Any, tmp_path: Path) -> None:
    done = run(system, "rebuild", "--items", "--swap", folder=tmp_path)
    assert done.returncode == 2
    assert "argument --swap: not allowed with argument --items" in done.stderr
