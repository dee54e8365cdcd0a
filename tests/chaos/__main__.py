"""`python -m tests.chaos`: run every phase, print its figures and the folder of its history."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from tests.chaos.broken_logs import BROKEN_LOGS, run_broken_logs
from tests.chaos.phases import PHASES, Phase
from tests.chaos.report import report
from tests.chaos.result import Result, breaking_off
from tests.chaos.run import run_phase
from tests.chaos.servers import Servers
from tests.chaos.workers import PHASE as WORKERS
from tests.chaos.workers import run_workers


def main() -> int:
    """Exit status 1 if an invariant was violated; then the command that replays the phase is printed."""
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
        results.append(run_broken_logs(folder, arguments.seed))
    if WORKERS in wanted:
        results.append(run_workers(folder / WORKERS, arguments.seed))
    printed = report(arguments.seed, results, folder, whole=not arguments.phase)
    print("\n".join(printed.lines))
    return 1 if printed.violations else 0


def _run(phases: list[Phase], brokers: int, seed: str, folder: Path) -> list[Result]:
    """Run the phases that need this many brokers, one after the other on the same servers."""
    chosen = [phase for phase in phases if phase.brokers == brokers]
    if not chosen:
        return []
    results: list[Result] = []
    stack = folder / f"stack-{brokers}"
    broken = Result(stack.name)
    with breaking_off(broken, stack), _progress() as progress, Servers(stack, brokers) as servers:
        for phase in chosen:
            task = progress.add_task(phase.name, total=len(phase.schedule(seed)))

            def say(fault: str, task: TaskID = task, name: str = phase.name) -> None:
                progress.update(task, advance=1, description=f"{name}: {fault}")

            began = time.monotonic()
            results.append(run_phase(phase, servers, folder / phase.name, seed, say=say))
            progress.update(task, description=f"{phase.name} ({time.monotonic() - began:.0f} s)")
    # Servers that do not start fail each phase that waits for them; those that do not end, the last one.
    done = len(results)
    results += [Result(phase.name) for phase in chosen[done:]]
    for result in results[done:] or results[-1:]:
        result.violations += broken.violations
    return results


def _progress() -> Progress:
    columns = (TextColumn("{task.description:<32}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


if __name__ == "__main__":
    sys.exit(main())
