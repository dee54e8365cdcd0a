"""The printed report of a run: figures, history folder, violations, and the command that replays a phase."""

import statistics
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.chaos.history import replay_command
from tests.chaos.phases import PHASES
from tests.chaos.result import Result
from tests.chaos.scope import TWICE, WHOLE_RUN, lacking

MIN_KILLS = 100


class RebuildReport(NamedTuple):
    """The lines to print, and the number of violations in them."""

    lines: list[str]
    violations: int


def report(seed: str, results: list[Result], folder: Path, *, whole: bool) -> RebuildReport:
    """`whole` says that all phases ran, so that the run's minimums hold."""
    points: Counter[str] = Counter()
    for result in results:
        points.update(result.points)
    kills = sum(result.kills for result in results)
    seen: Counter[str] = sum((result.seen for result in results), Counter())
    general = [*_below_minimum(points, kills), *lacking(seen, WHOLE_RUN)] if whole else []
    violations = sum(len(result.violations) for result in results) + len(general)
    recoveries = [wait for result in results for wait in result.recoveries]
    p50, p99 = _quantiles(recoveries)
    lines = [
        _figure("seed", seed, "text"),
        _figure("chaos_kills", kills, "kills"),
        *(_figure(f"chaos_kills_{point}", count, "kills") for point, count in points.items()),
        _figure("chaos_faults", sum(result.faults for result in results), "faults"),
        _figure("events_acknowledged", sum(result.acknowledged for result in results), "events"),
        _figure("events_unknown", sum(result.unknown for result in results), "events"),
        _figure("duplicates_delivered", seen[TWICE], "events"),
        _figure("zombie_batches_refused", sum(result.refused for result in results), "batches"),
        _figure("chaos_violations", violations, "violations"),
        _figure("recovery_p50", round(p50, 2), "s"),
        _figure("recovery_p99", round(p99, 2), "s"),
        _figure("recovery_max", round(max(recoveries, default=0.0), 2), "s"),
        _figure("time_to_zero_lag", round(max((result.zero_lag for result in results), default=0.0), 2), "s"),
        f"The history of the run: {folder}",
    ]
    for result in results:
        lines += [f"VIOLATION in {result.phase}: {violation}" for violation in result.violations]
        if result.violations:
            lines.append(f"Replay: {replay_command(seed, result.phase)}")
    lines += [f"VIOLATION: {violation}" for violation in general]
    if general:
        lines.append(f"Replay: {replay_command(seed)}")
    return RebuildReport(lines, violations)


def _below_minimum(points: Counter[str], kills: int) -> list[str]:
    """The minimums of a whole run that were not reached."""
    wanted = dict.fromkeys(point for phase in PHASES for point in phase.points)
    found = [f"no process was killed at the point {point}" for point in wanted if not points[point]]
    return found + ([f"only {kills} kills, at least {MIN_KILLS} are wanted"] if kills < MIN_KILLS else [])


def _quantiles(values: list[float]) -> tuple[float, float]:
    """The 50th and the 99th of a hundred; never outside the values, as an estimate for what was not seen would be."""
    if len(values) < 2:
        only = sum(values, 0.0)
        return only, only
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


def _figure(name: str, value: object, unit: str) -> str:
    return f"figure {name} {value} {unit}"
