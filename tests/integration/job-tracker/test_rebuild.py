"""A rebuild gives the live table byte for byte, says where it does not, and swaps while others write and read."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console
from tests.tracker_actions import JOBS, SHADOWS, blocked_rebuilds, meanwhile, run, trim

from job_tracker import bootstrap_rebuild
from job_tracker.rebuild import run as rebuild_run
from job_tracker.rebuild.checks import look_at_log
from service_kit.clock import SystemClock

STRUCTURE = """
SELECT c.relname, c.relkind::text, array_to_string(c.reloptions, ','), pg_get_indexdef(c.oid)
FROM pg_class c
WHERE relnamespace = 'tracker'::regnamespace AND relname !~ '_20[0-9]{6}' AND relname !~ '^event_default'
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' FROM pg_constraint
WHERE connamespace = 'tracker'::regnamespace AND conrelid::regclass::text !~ '_20[0-9]{6}'
UNION ALL
SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) || attnum || attnotnull,
       coalesce(pg_get_expr(adbin, adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND relname !~ '_20[0-9]{6}'
ORDER BY 1, 2, 3, 4
"""


def test_a_rebuild_gives_the_live_table_and_keeps_its_structure(
    *, system: Any, connection: Any, live: Any, oracle: Any, shown: Any, tmp_path: Path
) -> None:
    before = connection.execute(JOBS).fetchone()
    structure = connection.execute(STRUCTURE).fetchall()
    done = run(system, "rebuild", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "No difference" in done.stdout
    assert connection.execute(SHADOWS).fetchone() == (0,)
    done = run(system, "rebuild", "--swap", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert connection.execute(JOBS).fetchone() == before
    assert connection.execute(STRUCTURE).fetchall() == structure
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    assert connection.execute(SHADOWS).fetchone() == (0,)
    assert shown(connection) == oracle(live)


WRONG_HISTORY = "first-told"  # what an audit looks for and a rebuild only mends
CORRUPTIONS = {
    "job {} differs": "UPDATE tracker.job SET p_processed = p_processed + 1 WHERE job_id = %s",
    "job {} missing": "DELETE FROM tracker.job WHERE job_id = %s",
    "job {}-never-asked-for unfounded": (
        "INSERT INTO tracker.job (job_id, r_time, r_id, r_body, tenant, account, job_type, chain) "
        "SELECT job_id || '-never-asked-for', r_time, r_id, r_body, tenant, account, job_type, chain "
        "FROM tracker.job WHERE job_id = %s"
    ),
    "infinity": "UPDATE tracker.job SET p_at = 'infinity' WHERE job_id = %s",  # which Python has not
    "rollup ": "UPDATE tracker.rollup SET jobs = jobs + 1 WHERE tenant <> %s",
    "event ": "DELETE FROM tracker.event WHERE job_id = %s",
    WRONG_HISTORY: "UPDATE tracker.event SET phase = 'first-told' WHERE job_id = %s AND phase IS NOT NULL",
    "dead_letter ": "DELETE FROM tracker.dead_letter WHERE consumer <> %s",
}


def test_what_was_corrupted_is_found_printed_and_healed(
    *, system: Any, connection: Any, live: Any, oracle: Any, shown: Any, tmp_path: Path
) -> None:
    before = connection.execute(JOBS).fetchone()
    victims = sorted({e["subject"] for e in live if e["type"] == "job.progress.v1"})
    wanted = []
    for (said, statement), victim in zip(CORRUPTIONS.items(), victims, strict=False):
        assert connection.execute(statement, [victim]).rowcount > 0
        wanted.append(said.format(victim))
    found = run(system, "audit", "--all", folder=tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    assert [said for said in wanted if said not in found.stdout] == []
    healed = run(system, "rebuild", "--swap", folder=tmp_path)
    assert healed.returncode == 0, healed.stderr
    assert [said for said in wanted if said not in healed.stdout] == [WRONG_HISTORY]
    assert connection.execute(JOBS).fetchone() == before
    assert shown(connection) == oracle(live)
    assert run(system, "audit", "--all", folder=tmp_path).returncode == 0


@pytest.mark.long
def test_each_difference_is_told_once_and_with_what_differs(
    *, system: Any, connection: Any, live: Any, tmp_path: Path
) -> None:
    assert live
    connection.execute("DELETE FROM tracker.job WHERE job_id = (SELECT min(job_id) FROM tracker.job)")
    found = run(system, "rebuild", "--swap", folder=tmp_path)
    assert found.stdout.splitlines()[-2].startswith("1 difference"), found.stdout  # its rollups were right
    broken = "UPDATE tracker.rollup SET processed = processed + 1 WHERE ctid = (SELECT min(ctid) FROM tracker.rollup)"
    connection.execute(broken)
    (found, sampled) = (run(system, "audit", *more, folder=tmp_path) for more in (["--all"], ["--jobs=5"]))
    for told in (found, sampled):
        assert (told.returncode, told.stdout.splitlines()[-1][:13]) == (1, "1 difference "), told.stdout
        assert "processed" in told.stdout


@pytest.mark.parametrize(
    "old",
    [
        "SELECT tracker.ensure_event_days('2020-02-28', 2)",
        # Without a table of its own: into the default one.
        """UPDATE tracker.event SET appended_at = '2020-02-28 23:59:59Z'
           WHERE (partition, "offset") = (SELECT partition, "offset" FROM tracker.event LIMIT 1)""",
    ],
)
def test_days_that_a_swap_would_leave_out_are_told(
    *, system: Any, connection: Any, live: Any, tmp_path: Path, old: str
) -> None:
    assert live
    connection.execute(old)
    done = run(system, "rebuild", folder=tmp_path)
    assert "The live history has days before" in done.stdout
    assert "2020-02-28" in done.stdout


@pytest.mark.long
def test_an_audit_looks_at_a_sample_that_can_be_repeated(
    *, system: Any, connection: Any, live: Any, tmp_path: Path
) -> None:
    """Over all seeds every job is looked at; one seed looks at the same jobs each time."""
    assert live
    connection.execute("UPDATE tracker.job SET r_id = r_id || '-'")
    looked = [run(system, "audit", "--jobs", "20", "--seed", seed, folder=tmp_path) for seed in ("1", "1", "2")]
    assert [done.returncode for done in looked] == [1, 1, 1]
    assert "about 20 of" in looked[0].stdout
    assert looked[0].stdout == looked[1].stdout != looked[2].stdout
    found = [int(done.stdout.splitlines()[-1].split()[0]) for done in looked]
    assert all(0 < number < 60 for number in found)


@pytest.mark.long
def test_a_swap_under_writes_loses_and_doubles_nothing(
    *, system: Any, connection: Any, live: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    """Projector, writer and reader go on; the reader never sees fewer jobs than before."""
    stop = threading.Event()
    sent = list(live)
    counts: list[int] = []

    def write() -> None:
        """As fast as the projector reads, which goes through the rebuilds with it."""
        number = 1000
        with psycopg.connect(system.database_url, autocommit=True) as watch:
            while not stop.is_set():
                if system.count(watch, "event") < len(sent) - 200:
                    continue
                events = stream.job(number)
                system.send(events)
                sent.extend(events)
                number += 1

    def read() -> None:
        with psycopg.connect(system.database_url) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not stop.is_set():
                # The positions first, as the API does: then the rows must be of the same state.
                with reader.transaction():
                    offsets = reader.execute("SELECT sum(next_offset) FROM tracker.consumer_offset").fetchone()
                    events = reader.execute(
                        "SELECT (SELECT count(*) FROM tracker.event) + (SELECT count(*) FROM tracker.dead_letter)"
                    ).fetchone()
                    assert offsets == events
                    counts.append(reader.execute("SELECT count(*) FROM tracker.job").fetchone()[0])

    with meanwhile(stop, write, read, seconds=30):
        for _ in range(3):
            done = run(system, "rebuild", "--swap", folder=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "No difference" in done.stdout
    wait_until(lambda: system.count(connection, "event") == len(sent), "the projector does not go on")
    assert counts == sorted(counts)
    assert shown(connection) == oracle(sent)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    assert run(system, "audit", "--all", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(("answer", "swapped"), [(b"\x04", False), (b"y\n", True)])
def test_a_person_is_asked_and_the_end_of_the_input_means_no(
    *, system: Any, connection: Any, live: Any, tmp_path: Path, answer: bytes, swapped: bool
) -> None:
    assert live
    number = "SELECT 'tracker.job'::regclass::oid"
    before = connection.execute(number).fetchone()
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "job_tracker", "rebuild"],
        env=system.environment | {"TERM": "xterm"},
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as rebuild:
        os.close(terminal)
        shown = b""
        while b"[y/n]" not in shown:
            shown += os.read(person, 1000)
        os.write(person, answer)
        with contextlib.suppress(OSError):  # so Linux tells that nobody holds the terminal any more
            while more := os.read(person, 1000):
                shown += more
    os.close(person)
    assert (rebuild.returncode, b"Traceback" in shown) == (0, False), shown.decode()
    assert (connection.execute(number).fetchone() != before) == swapped


def test_what_a_projector_reads_while_a_rebuild_plans_is_not_taken_for_lost(
    *, system: Any, connection: Any, live: Any, stream: Any, wait_until: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    sent = list(live)

    def then_more_is_read(*arguments: Any) -> Any:
        log = look_at_log(*arguments)
        events = stream.job(1000)
        system.send(events)
        sent.extend(events)
        wait_until(lambda: system.count(connection, "event") == len(sent), "the projector does not read on")
        return log

    monkeypatch.setattr(rebuild_run, "look_at_log", then_more_is_read)
    out = StringIO()
    status = bootstrap_rebuild.run_rebuild(
        system.settings, SystemClock(), Console(file=out), archive=tmp_path, swap=False, accept_loss=False
    )
    assert (status, "No difference" in out.getvalue()) == (0, True), out.getvalue()


@pytest.mark.long
def test_a_killed_rebuild_leaves_the_live_table_and_the_next_one_works(
    *, system: Any, connection: Any, live: Any, wait_until: Any, tmp_path: Path
) -> None:
    assert live
    before = connection.execute(JOBS).fetchone()
    for ending, status in ((signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with blocked_rebuilds(system) as stands:
            rebuild = subprocess.Popen(
                [Path(sys.executable).with_name("jobtrail"), "rebuild", "--swap"],
                env=system.environment | {"JOBTRAIL_BATCH_EVENTS": "1", "JOBTRAIL_HOME": str(tmp_path)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            wait_until(stands, "the rebuild does not begin")
            rebuild.send_signal(ending)
        _, said = rebuild.communicate(timeout=120)
        assert rebuild.returncode == status
        assert said == ("" if ending == signal.SIGKILL else "rebuild: interrupted; the live table is as it was\n")
        assert connection.execute(JOBS).fetchone() == before
        shadows = connection.execute(SHADOWS).fetchone()
        assert shadows == (1 if ending == signal.SIGKILL else 0,)
    assert run(system, "rebuild", folder=tmp_path).returncode == 0
    assert connection.execute(SHADOWS).fetchone() == (0,)


CUT_OFF_AFTER = """
import os, signal, sys
from job_tracker.__main__ import main
from job_tracker.rebuild.{module} import {name}
step = {name}.{step}
def and_interrupt(self, *arguments):
    step(self, *arguments)
    os.kill(os.getpid(), signal.{ending})
{name}.{step} = and_interrupt
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "name", "step", "ending", "swapped"),
    [
        ("shadow", "ShadowTables", "forget_deleted", "SIGINT", False),
        ("swap", "Swap", "run", "SIGINT", True),
        ("run", "ShadowRebuild", "end", "SIGTERM", True),
    ],
)
def test_an_interrupted_swap_says_which_table_stands(
    *,
    system: Any,
    connection: Any,
    live: Any,
    tmp_path: Path,
    module: str,
    name: str,
    step: str,
    ending: str,
    swapped: bool,
) -> None:
    assert live
    number = "SELECT 'tracker.job'::regclass::oid"
    before = connection.execute(number).fetchone()
    said = "the rebuilt table is in the live one's place" if swapped else "the live table is as it was"
    code = CUT_OFF_AFTER.format(module=module, name=name, step=step, ending=ending)
    done = subprocess.run(
        [sys.executable, "-c", code, "rebuild", "--swap", "--archive", str(tmp_path)],
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, f"rebuild: interrupted; {said}\n")
    assert (connection.execute(number).fetchone() != before) == swapped
    assert connection.execute(SHADOWS).fetchone() == (0,)


@pytest.mark.long
def test_a_log_that_was_trimmed_is_refused_unless_the_table_began_there(
    *, system: Any, connection: Any, live: Any, wait_until: Any, tmp_path: Path
) -> None:
    assert live
    trim(system, (system.topics.events, 0, 3))
    for part in ("rebuild", "audit"):
        refused = run(system, part, folder=tmp_path)
        assert refused.returncode == 2
        assert f"{system.topics.events}[0]: offsets 0 to 3 have left the log" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    lossy = run(system, "rebuild", "--accept-loss", "*", folder=tmp_path)
    assert lossy.returncode == 1
    assert "Lost: " in lossy.stdout
    # A table that began behind the trimmed offsets lacks nothing.
    system.end_projectors()
    for table in ("job", "event", "rollup", "dead_letter", "consumer_offset"):
        connection.execute(f"DELETE FROM tracker.{table}")
    system.projector()
    left = (
        "SELECT sum(next_offset - first_offset), min(first_offset) FROM tracker.consumer_offset WHERE next_offset > 0"
    )
    wait_until(lambda: connection.execute(left).fetchone()[0] == len(live) + 6 - 3, "the log was not read")
    assert run(system, "rebuild", folder=tmp_path).returncode == 0
