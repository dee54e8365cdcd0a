"""Section: drain rates of Jobtrail, its peers and the machine's limits, measured in turn under the same load."""

import time
from collections.abc import Sequence

from bench.candidate import Candidate
from bench.figures import Figures
from bench.jobtrail import Jobtrail
from bench.limits import consume_rate, copy_rates
from bench.plan import Plan
from bench.stage import FullTopic, Stage, say

Rates = dict[str, list[float]]
_TWICE = 2  # rounds at least, if the plan has so many


def measure_drains(
    stage: Stage, figures: Figures, plan: Plan, peers: Sequence[Candidate], same_work: Candidate | None = None
) -> None:
    """Measure fast peers at full size and at a third of it, slow ones on fewer events.

    No peer keeps a history, except for `same_work`, which is compared apart from the others.
    """
    fast = [peer for peer in peers if not peer.slow]
    third = stage.workload(plan.third)
    for peer in (*fast, *([same_work] if same_work else [])):
        # The JVM compiles its code during this drain: it is reported and not counted.
        cold = stage.drain(peer, third)
        figures.put(f"drain_{peer.name}_first", cold.rate, "events/s", f"the first drain, {third.events:,} events")
        figures.put(f"startup_{peer.name}", cold.startup, "s", "from start to the first rows")
    full = stage.workload(plan.events)
    _rounds(stage, figures, full, fast, same_work, plan.repeats, "", limits=True, longest=plan.longest_rounds)
    few = plan.few_repeats
    _rounds(stage, figures, third, fast, same_work, few, "_third", limits=False, longest=plan.longest_rounds)
    _slow(stage, figures, plan, [peer for peer in peers if peer.slow])


def _rounds(
    stage: Stage,
    figures: Figures,
    topic: FullTopic,
    peers: Sequence[Candidate],
    same_work: Candidate | None,
    repeats: int,
    suffix: str,
    *,
    limits: bool,
    longest: float,
) -> None:
    """Each round measures every candidate once; ratios are formed within a round.

    A peer that takes more than twice as long as another is measured in two rounds only, and so are all on a machine
    where three rounds would take more than `longest` seconds.
    """
    began = time.monotonic()
    note = f"{topic.events:,} events"
    rates: Rates = {}
    ratios: Rates = {}
    startups: list[float] = []
    for number in range(repeats):
        if number >= _TWICE and (time.monotonic() - began) * (number + 1) / number > longest:
            say(f"no round {number + 1}: it would take too long")
            break
        say(f"round {number + 1} of {repeats}, {note}")
        jobtrail = Jobtrail()
        with stage.drained(jobtrail, topic) as (place, result):
            ours = result.rate
            rates.setdefault("drain_rate", []).append(ours)
            startups.append(result.startup)
            if limits:
                jobtrail.stop()
                copy, plain = copy_rates(place.database_url)
                rates.setdefault("copy_rate", []).append(copy)
                rates.setdefault("copy_rate_no_indexes", []).append(plain)
                ratios.setdefault("drain_vs_copy", []).append(ours / copy)
        theirs = {peer.name: stage.drain(peer, topic).rate for peer in peers}
        for name, rate in theirs.items():
            rates.setdefault(f"drain_{name}", []).append(rate)
        if theirs:
            best = max(theirs.values())
            ratios.setdefault("drain_vs_best_peer", []).append(ours / best)
            peers = [peer for peer in peers if number == 0 or theirs[peer.name] > best / 2]
        if same_work is not None:
            rate = stage.drain(same_work, topic).rate
            rates.setdefault(f"drain_{same_work.name}", []).append(rate)
            ratios.setdefault("drain_vs_same_work", []).append(ours / rate)
        if limits:
            for name, tuned in (("consume_rate_default", False), ("consume_rate", True)):
                rates.setdefault(name, []).append(consume_rate(stage.kafka, topic, tuned=tuned))
    for name, values in rates.items():
        figures.put(name + suffix, values, "events/s", note)
    for name, values in ratios.items():
        figures.put(name + suffix, values, "ratio", note)
    if limits:
        figures.put("startup_jobtrail", startups, "s", "from start to the first rows, migrations included")


def _slow(stage: Stage, figures: Figures, plan: Plan, peers: Sequence[Candidate]) -> None:
    topic = stage.workload(plan.slow_events)
    for peer in peers:
        rates = [stage.drain(peer, topic).rate for _ in range(plan.few_repeats)]
        figures.put(f"drain_{peer.name}", rates, "events/s", f"{topic.events:,} events, as it is a slow one")
