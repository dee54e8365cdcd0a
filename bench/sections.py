"""The other sections: right or wrong, event to visible, rebuild, memory, emitter, two trackers, claim."""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench.candidate import Candidate
from bench.claims import fill_queue, seconds_of_claims
from bench.databases import fresh_database
from bench.drain import wrong
from bench.emitter import progress_cost
from bench.figures import Figures, percentile
from bench.jobtrail import Jobtrail, environment
from bench.jobtrail_visible import jobtrail_visible
from bench.plan import Plan
from bench.stage import Stage
from bench.visible import peer_visible
from bench.workload import Shape, expected, shaken
from service_kit.database import open_pool

RATE = 1000  # events a second
HALF_RATE = 500


def measure_right_or_wrong(stage: Stage, figures: Figures, plan: Plan, peers: Sequence[Candidate]) -> None:
    """The share of jobs whose final row is wrong after the same shuffled and duplicated stream."""
    stream = shaken(Shape(jobs=plan.shaken_jobs, in_flight=min(500, plan.shaken_jobs // 4)))
    right = expected(stream)
    topic = stage.full_topic(stream)
    for candidate in (Jobtrail(), *peers):
        with stage.drained(candidate, topic) as (place, _):
            bad = wrong(candidate, place, right)
        back = sum(row is None or row.state != right[job].state for job, row in bad.items())
        note = f"{len(right):,} jobs, {topic.events:,} events; {back / len(right):.1%} have the wrong state"
        figures.put(f"wrong_{candidate.name}", len(bad) / len(right), "share", note)


def measure_visible(stage: Stage, figures: Figures, plan: Plan, peers: Sequence[Candidate]) -> None:
    """Acknowledged by Kafka to readable: by the API for Jobtrail, in the table for the peers."""
    for rate, infix in ((HALF_RATE, "_500"), (RATE, "")):
        repeats = plan.repeats if rate == RATE else 1
        lives = [jobtrail_visible(stage, rate, plan.settle_seconds, plan.live_seconds) for _ in range(repeats)]
        note = f"at {rate} events/s, by GET /jobs/ID"
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            values = [percentile(live.visible.seconds, share) * 1000 for live in lives]
            figures.put(f"visible{infix}_{name}", values, "ms", note)
            streamed = [percentile(live.stream, share) * 1000 for live in lives]
            figures.put(f"stream{infix}_{name}", streamed, "ms", f"at {rate} events/s, by GET /stream")
        for peer in peers:
            seen = peer_visible(stage, peer, rate, plan.settle_seconds, plan.peer_live_seconds)
            note = f"at {rate} events/s, in its table"
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                figures.put(f"visible{infix}_{name}_{peer.name}", percentile(seen.seconds, share) * 1000, "ms", note)


def measure_memory(stage: Stage, figures: Figures, plan: Plan) -> None:
    """The projector's peak memory at a tenfold load."""
    small = stage.workload(plan.small_events)
    large = stage.workload(plan.large_events)
    ratios: list[float] = []
    peaks: dict[str, list[float]] = {"memory_1x": [], "memory_10x": []}
    for _ in range(plan.few_repeats):
        one, ten = (stage.drain(Jobtrail(), topic).peak_bytes for topic in (small, large))
        peaks["memory_1x"].append(one / 1e6)
        peaks["memory_10x"].append(ten / 1e6)
        ratios.append(ten / one)
    for name, topic in (("memory_1x", small), ("memory_10x", large)):
        figures.put(name, peaks[name], "MB", f"{topic.events:,} events")
    figures.put("memory_10x_vs_1x", ratios, "ratio")


def measure_two_trackers(stage: Stage, figures: Figures, plan: Plan) -> None:
    """Two projectors that share the partitions, against one."""
    topic = stage.workload(plan.third)
    one, two = [], []
    for _ in range(plan.repeats):
        one.append(stage.drain(Jobtrail(), topic).rate)
        two.append(stage.drain(Jobtrail(copies=2), topic).rate)
    note = f"{topic.events:,} events; all on this one machine"
    figures.put("drain_two_trackers", two, "events/s", note)
    figures.put("two_trackers_vs_one", [b / a for a, b in zip(one, two, strict=True)], "ratio", note)


def measure_rebuild(stage: Stage, figures: Figures, plan: Plan) -> None:
    """`rebuild` of a full table, comparison and swap included, against the drain that filled it."""
    topic = stage.workload(plan.events)
    rates: list[float] = []
    ratios: list[float] = []
    for _ in range(plan.few_repeats):
        with stage.drained(Jobtrail(), topic) as (place, drained):
            began = time.monotonic()
            command = ["rebuild", "--swap", "--archive", str(place.logs / "no-archive")]
            subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-m", "job_tracker", *command], env=environment(place), check=True, capture_output=True
            )
            rates.append(topic.events / (time.monotonic() - began))
            ratios.append(rates[-1] / drained.rate)
    figures.put("rebuild_rate", rates, "events/s", f"{topic.events:,} events, from start to exit")
    figures.put("rebuild_vs_drain", ratios, "ratio")


def measure_emitter(stage: Stage, figures: Figures, plan: Plan) -> None:
    """What `progress()` costs the worker."""
    topic = stage.new_topics().events
    for name, kafka in (("up", stage.kafka), ("away", None)):
        costs = [progress_cost(kafka, topic, plan.emitter_calls) for _ in range(plan.repeats)]
        figures.put(f"progress_kafka_{name}", [cost.usual for cost in costs], "us", "a call, as a rule coalesced")
        figures.put(f"progress_event_kafka_{name}", [cost.event for cost in costs], "us", "a call that emits an event")


def measure_claims(stage: Stage, figures: Figures, plan: Plan) -> None:
    """The claim of a job, its commit included, while many rows are queued and most of them may not run."""
    with fresh_database(stage.database_url) as url:
        fill_queue(url, plan.queued_rows)
        with open_pool(url, "puller", 2) as pool:
            runs = [seconds_of_claims(pool, plan.claims) for _ in range(plan.repeats)]
    note = f"{plan.queued_rows:,} queued rows of 1,000 accounts, nine tenths of which may not run"
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        figures.put(f"claim_{name}_100k", [percentile(times, share) * 1000 for times in runs], "ms", note)
