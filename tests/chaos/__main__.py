"""`python -m tests.chaos`: every phase of the chaos run, its figures, and where its history lies."""

import argparse
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from tests.chaos.broken_logs import BREAKS, check_broken_log
from tests.chaos.phases import PHASES, Phase
from tests.chaos.run import Result, run_phase
from tests.chaos.servers import Servers
from tests.chaos.workers import run_workers

MIN_KILLS = 100
BROKEN_LOGS, WORKERS = "broken-logs", "workers"


def main() -> int:
    """Exit status 1 where an invariant was violated; the command that replays the phase is printed then."""
    names = [*(phase.name for phase in PHASES), BROKEN_LOGS, WORKERS]
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same seed gives the same faults and events")
    parser.add_argument("--phase", choices=names, action="append", help="only this phase; may be given several times")
    parser.add_argument("--folder", type=Path, help="where the history is saved (default: a new temporary folder)")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="jobtrail-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    wanted = arguments.phase or names
    phases = [phase for phase in PHASES if phase.name in wanted]
    results = [result for brokers in (1, 3) for result in _run(phases, brokers, arguments.seed, folder)]
    if BROKEN_LOGS in wanted:
        with Servers(folder / "stack-broken") as servers:
            said = [said for name in BREAKS for said in check_broken_log(name, servers, folder / BROKEN_LOGS / name)]
        results.append(Result(BROKEN_LOGS, said, faults=len(BREAKS)))
    if WORKERS in wanted:
        results.append(run_workers(folder / WORKERS, arguments.seed))
    return _report(arguments.seed, results, folder, whole=not arguments.phase)


def _run(phases: list[Phase], brokers: int, seed: str, folder: Path) -> list[Result]:
    chosen = [phase for phase in phases if phase.brokers == brokers]
    if not chosen:
        return []
    columns = (TextColumn("{task.description:<32}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    results: list[Result] = []
    with (
        Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress,
        Servers(folder / f"stack-{brokers}", brokers) as servers,
    ):
        for phase in chosen:
            task = progress.add_task(phase.name, total=len(phase.schedule(seed)))

            def say(fault: str, task: object = task, name: str = phase.name) -> None:
                progress.update(task, advance=1, description=f"{name}: {fault}")

            began = time.monotonic()
            results.append(run_phase(phase, servers, folder / phase.name, seed, say=say))
            progress.update(task, description=f"{phase.name} ({time.monotonic() - began:.0f} s)")
    return results


def _report(seed: str, results: list[Result], folder: Path, *, whole: bool) -> int:
    points: Counter[str] = Counter()
    for result in results:
        points.update(result.points)
    general: list[str] = []
    kills = sum(result.kills for result in results)
    if whole:
        general += [f"no process was killed at the point {point}" for point, count in points.items() if count == 0]
        general += [f"only {kills} kills, at least {MIN_KILLS} are wanted"] if kills < MIN_KILLS else []
    violations = sum(len(result.violations) for result in results) + len(general)
    recoveries = sorted(wait for result in results for wait in result.recoveries)
    quantiles = statistics.quantiles(recoveries, n=100) if len(recoveries) > 1 else [0.0] * 99
    _figure("seed", seed, "text")
    _figure("chaos_kills", kills, "kills")
    for point, count in points.items():
        _figure(f"chaos_kills_{point}", count, "kills")
    _figure("chaos_faults", sum(result.faults for result in results), "faults")
    _figure("events_acknowledged", sum(result.acknowledged for result in results), "events")
    _figure("events_unknown", sum(result.unknown for result in results), "events")
    _figure("duplicates_delivered", sum(result.duplicates for result in results), "events")
    _figure("zombie_batches_refused", sum(result.refused for result in results), "batches")
    _figure("chaos_violations", violations, "violations")
    _figure("recovery_p50", round(quantiles[49], 2), "s")
    _figure("recovery_p99", round(quantiles[98], 2), "s")
    _figure("recovery_max", round(max(recoveries, default=0.0), 2), "s")
    _figure("time_to_zero_lag", round(max((result.zero_lag for result in results), default=0.0), 2), "s")
    print(f"The history of the run: {folder}")
    for result in results:
        for violation in result.violations:
            print(f"VIOLATION in {result.phase}: {violation}")
        if result.violations:
            print(f'Replay: make chaos ARGS="--seed {seed} --phase {result.phase}"')
    for violation in general:
        print(f"VIOLATION: {violation}")
    return 1 if violations else 0


def _figure(name: str, value: object, unit: str) -> None:
    print(f"figure {name} {value} {unit}")


if __name__ == "__main__":
    sys.exit(main())
