"""A long log is divided among processes: the same table, and no process left, whoever is killed."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.tracker_actions import JOBS, SHADOWS, blocked_rebuilds

from job_tracker.rebuild.shares import processes

# However short the log is. What it was divided into is said first.
DIVIDED = """
import sys
from job_tracker.__main__ import main
from job_tracker.rebuild import shares
shares.WORTH = 1
children = shares.children
def said(processes):
    print(f"{processes} processes", flush=True)
    return children(processes)
shares.children = said
sys.exit(main())
"""


def divided(system: Any, *arguments: str, folder: Path, batch: int = 50) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DIVIDED, *arguments, "--archive", str(folder)],
        env=system.environment | {"COLUMNS": "200", "JOBTRAIL_BATCH_EVENTS": str(batch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shares_of(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    "arguments", [("rebuild", "--swap"), ("audit", "--all"), ("audit", "--jobs", "20")], ids=" ".join
)
def test_shares_of_the_log_give_the_table(
    *, system: Any, connection: Any, live: Any, oracle: Any, shown: Any, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    before = connection.execute(JOBS).fetchone()
    work = divided(system, *arguments, folder=tmp_path)
    out, err = work.communicate(timeout=120)
    assert (work.returncode, err) == (0, "")
    assert f"{min(6, processes())} processes" in out
    assert "No difference" in out
    assert connection.execute(JOBS).fetchone() == before
    assert shown(connection) == oracle(live)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    assert connection.execute(SHADOWS).fetchone() == (0,)


@pytest.mark.parametrize(
    ("victim", "ending", "status", "said"),
    [
        ("parent", signal.SIGINT, 130, "rebuild: interrupted; the live table is as it was\n"),
        ("group", signal.SIGINT, 130, "rebuild: interrupted; the live table is as it was\n"),
        ("parent", signal.SIGKILL, -signal.SIGKILL, ""),
        ("share", signal.SIGKILL, 2, "rebuild: a process that folded a share of the log was killed"),
    ],
)
def test_no_share_outlives_its_rebuild(
    *,
    system: Any,
    connection: Any,
    live: Any,
    wait_until: Any,
    tmp_path: Path,
    victim: str,
    ending: signal.Signals,
    status: int,
    said: str,
) -> None:
    assert live
    before = connection.execute(JOBS).fetchone()
    with blocked_rebuilds(system) as stands:
        rebuild = divided(system, "rebuild", "--swap", folder=tmp_path, batch=1)
        wait_until(stands, "the rebuild does not begin")
        parent = psutil.Process(rebuild.pid)
        wait_until(lambda: len(shares_of(parent)) > 1, "it has no processes of its own")
        children, shares = parent.children(), shares_of(parent)
        for process in {"parent": [parent], "group": [*shares, parent], "share": shares}[victim]:
            process.send_signal(ending)
    _, err = rebuild.communicate(timeout=120)
    assert rebuild.returncode == status, err
    assert err.startswith(said)
    if status > 0:  # who is killed says nothing, but Python's own helper may
        assert len(err.splitlines()) == 1
    assert psutil.wait_procs(children, timeout=120)[1] == []
    assert connection.execute(JOBS).fetchone() == before
    assert connection.execute(SHADOWS).fetchone() == (int(status == -signal.SIGKILL),)
    again = divided(system, "rebuild", folder=tmp_path)
    out, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, "")
    assert "No difference" in out
    assert connection.execute(SHADOWS).fetchone() == (0,)
