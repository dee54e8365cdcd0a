"""The retention horizon on a real log: what ended before it is in the table, the archive and a rebuild no more."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.tracker_actions import JOBS, TOMORROW, archive_days, blocked_rebuilds, meanwhile, run, trim

from job_events.envelope import job_id_in
from job_tracker.archive.catalogue import HORIZON, ArchiveCatalogue
from job_tracker.archive.files import read_segment
from job_tracker.domain.horizon import HorizonRule, midnight
from job_tracker.retention import sweep
from job_tracker.store.horizon import move_horizon, store_rule, sweep_jobs
from job_tracker.store.postgres import connect

RIGHT = "SELECT count(*) FROM tracker.rollup_differences()"
Forget = Callable[[datetime], dict[str, int]]


@pytest.fixture
def forget(system: Any, connection: Any, wait_until: Any) -> Forget:
    """Put a horizon in force for what is appended from now on, and sweep; what went."""

    def begin(horizon: datetime) -> dict[str, int]:
        now = datetime.now(UTC)
        with connect(system.database_url) as own:
            store_rule(own, HorizonRule(now, system.settings.jobtrail_job_days, horizon))
            wait_until(lambda: connection.execute(_ALL_READ, [now]).fetchone() == (True,), "the ends are not known")
            return dict(sweep(own, now, system.settings))

    return begin


_ALL_READ = "SELECT bool_and(reached_at > %s) FROM tracker.partition_end WHERE topic <> 'jobs.items'"


def deleted(stream: Any, job: list[dict[str, Any]]) -> dict[str, Any]:
    """The deletion of a job that has ended."""
    job_id, data = job[0]["subject"], {"job": job[0]["data"]["job"], "requested_by": "Bình", "reason": "asked for"}
    return stream.envelope("job.deleted.v1", job_id, f"{job_id}/deleted", stream.start + timedelta(days=1), data)


def rows(connection: Any) -> set[str]:
    return {job_id for (job_id,) in connection.execute("SELECT job_id FROM tracker.job")}


def archived_jobs(system: Any, folder: Path) -> set[str]:
    """The jobs of which an archive holds an event."""
    catalogue = ArchiveCatalogue(folder, [*system.topics.lifecycle(), system.topics.items, system.topics.dead_letters])
    found = [record for one in catalogue.all_segments() for batch in read_segment(one, 100) for record in batch]
    return {job for record in found if (job := job_id_in(record.value)) is not None}


def same(system: Any, folder: Path, *options: str) -> str:
    """What a rebuild prints that finds no difference."""
    done = run(system, "rebuild", *options, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No difference" in done.stdout
    return done.stdout


def test_table_archive_and_rebuild_forget_the_same_jobs(
    *, system: Any, connection: Any, stream: Any, forget: Forget, wait_until: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    ended = [stream.job(number) for number in range(8)]
    open_jobs = [stream.job(number, finished=False) for number in range(8, 11)]
    gone = deleted(stream, ended[0])
    events = [event for job in ended + open_jobs for event in job] + [gone]
    system.send(events)
    system.send_raw(b"bad", key=b"bad")
    system.flush()
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    archive_days(system, folder)
    names = {job[0]["subject"] for job in open_jobs}
    assert names < archived_jobs(system, folder)

    horizon = midnight(datetime.now(UTC)) + timedelta(days=1)
    swept = forget(horizon)
    assert (swept["forgotten_jobs"], swept["forgotten_tombstones"]) == (7, 1)
    assert rows(connection) == names
    assert connection.execute(RIGHT).fetchone() == (0,)
    # The whole log, and an archive that has not been pruned yet, still hold the ends.
    same(system, tmp_path / "none", "--swap")
    same(system, folder)
    assert rows(connection) == names

    done = run(system, "archive", "--prune", folder=folder)
    assert (done.returncode, "of forgotten jobs removed" in done.stdout) == (0, True), done.stdout + done.stderr
    assert archived_jobs(system, folder) == names
    assert run(system, "archive", "--verify", folder=folder).returncode == 0

    # A projector learns of a rule when it starts or sweeps: rules are stored a day before they are in force.
    system.end_all()
    system.projector("b")
    # Copies of what is forgotten, and of what is not, arrive late: they change no row.
    late = [ended[1][1], ended[1][2], ended[2][0], gone, open_jobs[0][1]]
    before = connection.execute(JOBS).fetchone()
    counted = system.count(connection, "event")
    system.send(late)
    wait_until(lambda: system.count(connection, "event") == counted + len(late), "not read")
    assert connection.execute(JOBS).fetchone() == before
    assert connection.execute("SELECT sum(late_events) FROM tracker.consumer_offset").fetchone() == (len(late),)
    same(system, folder, "--swap")
    assert run(system, "audit", "--all", folder=folder).returncode == 0

    # The archive alone, of which a part has left the log and another was never pruned.
    archive_days(system, folder, TOMORROW + timedelta(days=1))
    ends = connection.execute("SELECT topic, partition, next_offset FROM tracker.consumer_offset").fetchall()
    trim(system, *ends)
    same(system, folder, "--swap")
    assert connection.execute(JOBS).fetchone() == before
    assert connection.execute(RIGHT).fetchone() == (0,)

    # An empty database knows the horizon from the archive.
    system.end_projectors()
    connection.execute("DROP SCHEMA tracker CASCADE")
    connection.execute("DROP SCHEMA IF EXISTS tracker_rebuild CASCADE")
    connection.execute("DROP TABLE IF EXISTS _yoyo_migration, _yoyo_log, _yoyo_version, yoyo_lock CASCADE")
    assert run(system, "rebuild", "--swap", folder=folder).returncode == 0
    assert connection.execute(JOBS).fetchone() == before
    assert connection.execute("SELECT ended_before FROM tracker.job_horizon").fetchone() == (horizon,)


def test_an_archive_is_pruned_only_by_a_table_that_has_read_it(
    *, system: Any, connection: Any, stream: Any, forget: Forget, wait_until: Any, tmp_path: Path
) -> None:
    folder, events = tmp_path / "archive", stream.job(1)
    system.send(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    archive_days(system, folder)
    forget(midnight(datetime.now(UTC)) + timedelta(days=1))
    system.end_projectors()
    whole = archived_jobs(system, folder)
    connection.execute("UPDATE tracker.consumer_offset SET first_offset = next_offset WHERE next_offset > 0")
    done = run(system, "archive", "--prune", folder=folder)
    assert (done.returncode, "the table does not hold what the archive holds of" in done.stdout) == (0, True)
    connection.execute("UPDATE tracker.consumer_offset SET first_offset = 0")
    connection.execute("UPDATE tracker.job_horizon SET swept = false")
    done = run(system, "archive", "--prune", folder=folder)
    assert (done.returncode, "the sweep of the table has not ended" in done.stdout) == (0, True)
    assert archived_jobs(system, folder) == whole
    assert not (folder / HORIZON).exists()
    # A kill between the new files of a day and the removal of the former ones leaves both; the former are not read.
    connection.execute("UPDATE tracker.job_horizon SET swept = true")
    former = {path: path.read_bytes() for path in folder.glob("*/*/*/*.zst")}
    assert run(system, "archive", "--prune", folder=folder).returncode == 0
    for path, content in former.items():
        path.write_bytes(content)
    assert run(system, "archive", "--verify", folder=folder).returncode == 0
    assert run(system, "archive", "--prune", folder=folder).returncode == 0
    assert not any(path.exists() for path in former)
    # Without the horizon, the pruned days would be read as if nothing were missing.
    (folder / HORIZON).unlink()
    done = run(system, "rebuild", folder=folder)
    assert (done.returncode, "is missing or older" in done.stderr) == (2, True)


def test_the_horizon_moves_while_a_rebuild_reads(
    *, system: Any, connection: Any, stream: Any, forget: Forget, wait_until: Any, tmp_path: Path
) -> None:
    events = stream.jobs(30)
    system.send(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    with ThreadPoolExecutor(1) as thread:
        with blocked_rebuilds(system) as is_blocked:
            rebuilding = thread.submit(run, system, "rebuild", "--swap", folder=tmp_path)
            wait_until(is_blocked, "the rebuild does not read")
            assert forget(midnight(datetime.now(UTC)))["forgotten_jobs"] > 0
            left = connection.execute(JOBS).fetchone()
        done = rebuilding.result(120)
    assert (done.returncode, "No difference" in done.stdout) == (0, True), done.stdout + done.stderr
    assert connection.execute(JOBS).fetchone() == left
    assert connection.execute(RIGHT).fetchone() == (0,)


def test_a_half_swept_table_differs_from_no_rebuild(
    *, system: Any, connection: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    """A sweep that was killed has deleted some rows, and a row that a projector changes is left to the next sweep."""
    events = [event for number in range(12) for event in stream.job(number)]
    system.send(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    system.end_projectors()
    with connect(system.database_url) as own, psycopg.connect(system.database_url) as busy:
        move_horizon(own, midnight(datetime.now(UTC)))
        busy.execute("SELECT * FROM tracker.job ORDER BY job_id LIMIT 3 FOR UPDATE")
        assert sweep_jobs(own) == {"forgotten_jobs": 9}
        assert connection.execute("SELECT swept FROM tracker.job_horizon").fetchone() == (False,)
        assert connection.execute(RIGHT).fetchone() == (0,)
        busy.rollback()
        same(system, tmp_path, "--swap")
        assert system.count(connection, "job") == 3
        assert sweep_jobs(own) == {"forgotten_jobs": 3}
        assert sweep_jobs(own) == {}
    assert connection.execute("SELECT swept, sweeps FROM tracker.job_horizon").fetchone() == (True, 2)
    assert connection.execute("SELECT count(*) FROM tracker.rollup WHERE day > '-infinity'").fetchone() == (0,)
    same(system, tmp_path)


def test_sweeps_beside_two_projectors_lose_and_double_nothing(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    """Old jobs leave while their newer neighbours change; the rows that are left are the oracle's."""
    stream.start = datetime.now(UTC) - timedelta(hours=1)
    old = stream.jobs(150)
    stop = threading.Event()
    swept: list[int] = []

    def sweeping() -> None:
        with connect(system.database_url) as own:
            while not stop.wait(0.02):
                # What has just ended is behind it, so sweep and projectors meet at the same rows.
                move_horizon(own, datetime.now(UTC))
                own.execute("UPDATE tracker.job_horizon SET swept = false")
                swept.append(sweep_jobs(own, rows=7)["forgotten_jobs"])

    system.projector("a")
    system.projector("b")
    wait_until(lambda: system.count(connection, "partition_end") > 0, "no projector")
    with meanwhile(stop, sweeping, seconds=60):
        system.send(old)
        wait_until(lambda: system.count(connection, "event") == len(old), "not read")
    assert sum(swept) > 0
    assert connection.execute(RIGHT).fetchone() == (0,)
    expected = {job: row for job, row in oracle(old).items() if row["state"] != "finished"}
    found = shown(connection)
    assert {job: row for job, row in found.items() if job in expected} == expected


def test_readers_are_told_that_jobs_are_forgotten(
    *, system: Any, connection: Any, stream: Any, forget: Forget, start_api: Any, wait_until: Any
) -> None:
    url, _ = start_api()
    system.projector()
    events = [event for number in range(6) for event in stream.job(number)]
    system.send(events)
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    job = events[0]["subject"]
    assert httpx.get(f"{url}/freshness", timeout=120).json()["horizon"] is None
    page = httpx.get(f"{url}/jobs?limit=2", timeout=120).json()
    token = httpx.get(f"{url}/jobs", timeout=120).headers["Jobtrail-Freshness"]
    with httpx.stream("GET", f"{url}/stream", timeout=120) as reading:
        lines = reading.iter_lines()
        while not next(lines).startswith("event: snapshot"):
            pass
        horizon = midnight(datetime.now(UTC))
        assert forget(horizon)["forgotten_jobs"] == 6
        while not next(lines).startswith("event: reset"):
            pass
        told = next(line for line in lines if line.startswith("data: "))
    assert json.loads(told.removeprefix("data: "))["reason"] == "jobs that ended before the horizon left the table"
    answer = httpx.get(f"{url}/jobs/{job}", timeout=120)
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    assert answer.json()["detail"].endswith(f"; jobs that ended before {horizon:%Y-%m-%d} are forgotten")
    assert httpx.get(f"{url}/jobs/{job}/family", timeout=120).json()["detail"] == answer.json()["detail"]
    assert datetime.fromisoformat(httpx.get(f"{url}/freshness", timeout=120).json()["horizon"]) == horizon
    metrics = httpx.get(f"{url}/metrics", timeout=120).text.splitlines()
    (shown,) = [line.split()[1] for line in metrics if line.startswith("jobtrail_horizon_seconds ")]
    assert float(shown) == horizon.timestamp()
    # A page that was begun ends without a hole, and a token from before is reached.
    rest = httpx.get(f"{url}/jobs", params={"cursor": page["next"], "wait_for": token}, timeout=120)
    assert (rest.status_code, rest.json()["jobs"]) == (200, [])
