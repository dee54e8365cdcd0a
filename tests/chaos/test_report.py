"""A phase that breaks off is a violation of its own: what there is is saved, the others run, and all figures come."""

import gzip
import json
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import __main__ as command
from tests.chaos import broken_logs, run, workers
from tests.chaos.checker import Tables
from tests.chaos.messages import Message
from tests.chaos.phases import PHASES
from tests.chaos.report import MIN_KILLS, report
from tests.chaos.result import Result
from tests.chaos.scope import EACH_PHASE, TOMBSTONES, WHOLE_RUN, lacking, scope

SENTENCE = "waited 240 s for PostgreSQL to answer"


class NoServers:
    """Servers without a server, for phases that do not come to ask for one."""

    def __init__(self, _folder: Path, brokers: int = 1) -> None:
        self.brokers = brokers

    def __enter__(self) -> "NoServers":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class BreaksOff:
    """A phase in which Kafka takes one record, and then something waits in vain."""

    def __init__(self, _phase: Any, _servers: Any, _folder: Path, _seed: str, _mutant: str, *got: Any) -> None:
        _, self._history = got

    def run(self, _say: object) -> None:
        self._history.ledger.heard("jobs.events", Message("jobs.events", b"job-1", b"{}"), (0, 7), None)
        raise TimeoutError(SENTENCE)


@contextmanager
def no_system(*_: object) -> Any:
    raise TimeoutError(SENTENCE)
    yield


@pytest.fixture
def every_phase_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_broken_log(*_: object) -> list[str]:
        raise TimeoutError(SENTENCE)

    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):  # the run takes them away, and they shall come back
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(command, "Servers", NoServers)
    monkeypatch.setattr(broken_logs, "Servers", NoServers)
    monkeypatch.setattr(run, "Course", BreaksOff)
    monkeypatch.setattr(broken_logs, "check_broken_log", no_broken_log)
    monkeypatch.setattr(workers, "running_system", no_system)


def go(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tests.chaos", "--seed", "7", "--folder", str(folder), *arguments])
    return command.main()


@pytest.mark.usefixtures("every_phase_breaks_off")
def test_every_phase_runs_and_is_told_of_though_each_breaks_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert go(monkeypatch, tmp_path) == 1
    said = capsys.readouterr().out
    for name in [*(phase.name for phase in PHASES), "broken-logs", "workers"]:
        assert f"VIOLATION in {name}: TimeoutError: {SENTENCE}\n" in said
        assert f'Replay: make chaos ARGS="--seed 7 --phase {name}"\n' in said
    assert "no process was killed at the point items_in_rebalance" in said
    assert said.endswith('Replay: make chaos ARGS="--seed 7"\n')
    for figure in ("chaos_kills 0 kills", "chaos_faults 0 faults", "recovery_p99 0.0 s", "time_to_zero_lag 0.0 s"):
        assert f"figure {figure}\n" in said
    assert f"The history of the run: {tmp_path}\n" in said


@pytest.mark.usefixtures("every_phase_breaks_off")
def test_what_there_is_is_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert go(monkeypatch, tmp_path, "--phase", "churn") == 1
    saved = tmp_path / "churn"
    assert [json.loads(line)["fault"] for line in (saved / "schedule.jsonl").read_text().splitlines()] == ["churn"] * 2
    (entry,) = map(json.loads, gzip.decompress((saved / "ledger.jsonl.gz").read_bytes()).splitlines())
    assert (entry["topic"], entry["partition"], entry["offset"]) == ("jobs.events", 0, 7)
    assert f"TimeoutError: {SENTENCE}\n" in (saved / "violations.txt").read_text()
    assert "in run\n" in (saved / "traceback.txt").read_text()


def test_servers_that_do_not_start_fail_each_phase_that_waits_for_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def no_servers(*_: object) -> NoServers:
        raise TimeoutError(SENTENCE)

    monkeypatch.setattr(command, "Servers", no_servers)
    assert go(monkeypatch, tmp_path, "--phase", "churn", "--phase", "cluster") == 1
    said = capsys.readouterr().out
    assert f"VIOLATION in churn: TimeoutError: {SENTENCE}\n" in said
    assert f"VIOLATION in cluster: TimeoutError: {SENTENCE}\n" in said


def test_the_percentiles_lie_within_what_was_seen() -> None:
    waits = [11.2, 12.9, 28.31]
    lines = report("7", [Result("kills", recoveries=waits)], Path(), whole=False).lines
    seen = {words[1]: float(words[2]) for line in lines if (words := line.split())[1].startswith("recovery_")}
    assert waits[0] <= seen["recovery_p50"] <= seen["recovery_p99"] <= seen["recovery_max"] == waits[-1]


def whole_run(**changed: Any) -> Any:
    """What is reported of a run that did just enough, but for what is changed."""
    points = {point: 1 for phase in PHASES for point in phase.points}
    enough: dict[str, Any] = {"kills": MIN_KILLS, "points": points, "seen": Counter(WHOLE_RUN)}
    return report("7", [Result("kills", **enough | changed)], Path(), whole=True)


def test_a_whole_run_that_did_too_little_is_violated_and_says_of_what() -> None:
    assert whole_run().violations == 0
    few = whole_run(kills=MIN_KILLS - 1, seen=Counter(WHOLE_RUN) - Counter({TOMBSTONES: 1}))
    assert few.lines[-3:] == [
        "VIOLATION: only 99 kills, at least 100 are wanted",
        "VIOLATION: 9 records without a value are too few, at least 10 are wanted",
        'Replay: make chaos ARGS="--seed 7"',
    ]


def test_a_phase_in_which_nothing_happened_shows_nothing() -> None:
    nothing = scope(0, [], Tables({}, {}, {}))
    assert [said.split(" are ")[0] for said in lacking(nothing, EACH_PHASE)] == [
        "0 acknowledged records",
        "0 finished jobs",
        "0 items",
    ]
