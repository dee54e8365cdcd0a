"""`python -m bench [usual|full|smoke]`: run all measurements. The usual plan takes 28 minutes."""

import argparse
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.about import about
from bench.candidate import Candidate
from bench.drains import measure_drains
from bench.figures import Figures
from bench.peers.connect import ConnectWorker
from bench.peers.debezium import Debezium
from bench.peers.debezium_history import DebeziumWithHistory
from bench.peers.python_peer import PythonPeer
from bench.plan import FULL, SMOKE, USUAL, Plan
from bench.sections import (
    measure_claims,
    measure_emitter,
    measure_memory,
    measure_rebuild,
    measure_right_or_wrong,
    measure_two_trackers,
    measure_visible,
)
from bench.stage import Stage, say
from local_stack import LocalStack

PLANS = {"usual": USUAL, "full": FULL, "smoke": SMOKE}
FOLDER = Path(".bench").absolute()
RESULTS = FOLDER / "results.json"
QUIX_PYTHON = FOLDER / "venv" / "bin" / "python"


def peers_of_python() -> list[Candidate]:
    """The peers that need only Jobtrail's own packages."""
    return [
        PythonPeer("plain_unnest", "loop_unnest"),
        PythonPeer("plain_event", "loop_by_event", slow=True),
        PythonPeer("faust_take", "faust_agents", "take", slow=True),
        PythonPeer("faust_event", "faust_agents", "event", slow=True),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("plan", choices=sorted(PLANS), nargs="?", default="usual")
    plan = PLANS[parser.parse_args().plan]
    if not QUIX_PYTHON.exists():
        print(f"{QUIX_PYTHON} is missing: `make bench` makes it", file=sys.stderr)
        return 2
    began = time.monotonic()
    shutil.rmtree(FOLDER / "stack", ignore_errors=True)
    shutil.rmtree(FOLDER / "logs", ignore_errors=True)
    with ExitStack() as stack:
        servers = stack.enter_context(LocalStack(FOLDER / "stack"))
        stage = Stage(servers.bootstrap_servers, servers.database_url, FOLDER)
        connect = ConnectWorker(servers.bootstrap_servers, FOLDER)
        stack.callback(connect.end)
        quix = PythonPeer("quix", "quix_sink", python=QUIX_PYTHON)
        figures = Figures(RESULTS, about(servers.database_url))
        peers = [Debezium(connect), quix, *peers_of_python()]
        problems = run(stage, figures, plan, peers, DebeziumWithHistory(connect))
    shutil.rmtree(FOLDER / "stack", ignore_errors=True)
    if plan.read_sizes:
        sizes = ",".join(map(str, plan.read_sizes))
        problems += _guarded("reads", lambda: run_program(figures, "bench.reads", "--sizes", sizes))
    if plan.rate_seconds:
        seconds = str(plan.rate_seconds)
        problems += _guarded("rate limits", lambda: run_program(figures, "bench.rates", "--seconds", seconds))
    if plan.retention_jobs:
        jobs = str(plan.retention_jobs)
        problems += _guarded("retention", lambda: run_program(figures, "bench.retention", "--jobs", jobs))
    figures.put("bench_minutes", (time.monotonic() - began) / 60, "min")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def run(stage: Stage, figures: Figures, plan: Plan, peers: Sequence[Candidate], same_work: Candidate) -> list[str]:
    """Run all sections on one stage; a section that fails does not end the others. Returns the failures."""
    sections: dict[str, Callable[[], None]] = {
        "drain rate": lambda: measure_drains(stage, figures, plan, peers, same_work),
        "right or wrong": lambda: measure_right_or_wrong(stage, figures, plan, peers),
        "event to visible": lambda: measure_visible(stage, figures, plan, peers),
        "rebuild": lambda: measure_rebuild(stage, figures, plan),
        "two trackers": lambda: measure_two_trackers(stage, figures, plan),
        "memory": lambda: measure_memory(stage, figures, plan),
        "emitter": lambda: measure_emitter(stage, figures, plan),
        "claim": lambda: measure_claims(stage, figures, plan),
    }
    return [problem for name, section in sections.items() for problem in _guarded(name, section)]


def run_program(figures: Figures, module: str, *arguments: str) -> None:
    """Run a benchmark that has servers of its own, and keep its figures with the others."""
    argv = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            match line.split():
                case ["figure", name, value, unit]:
                    figures.put(name, float(value), unit)
                case _:
                    say(line.rstrip())
    if process.returncode:
        raise RuntimeError(f"{module} exited with {process.returncode}")


def _guarded(name: str, section: Callable[[], None]) -> list[str]:
    began = time.monotonic()
    print(f"{name} ...", flush=True)
    try:
        section()
    except Exception as error:
        traceback.print_exc()
        return [f"{name} failed: {error}"]
    say(f"{name}: {time.monotonic() - began:.0f} s")
    return []


if __name__ == "__main__":
    sys.exit(main())
