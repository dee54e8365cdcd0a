"""`python -m bench.report`: writes docs/benchmarks.md from the results of the last run, the bad figures too."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.__main__ import RESULTS
from bench.figures import shown
from bench.workload import LATE, TWICE

PAGE = Path("docs") / "benchmarks.md"
NAMES = {
    "jobtrail": "**Jobtrail**, history included",
    "debezium": "Debezium JDBC sink on Kafka Connect, warm",
    "plain_unnest": "plain loop, 5,000 events folded through unnest",
    "quix": "Quix Streams' PostgreSQL sink",
    "faust_take": "Faust agent, batches by `take`",
    "plain_event": "plain loop, an upsert an event",
    "faust_event": "Faust agent, an upsert an event",
}
# What was set as the goal: figure, comparison, bound, what it means.
GOALS = (
    ("wrong_jobtrail", "<=", 0.0, "no job is wrong after a shuffled and duplicated stream"),
    ("drain_vs_best_peer", ">=", 2.0, "drains twice as fast as the best warm peer"),
    ("drain_vs_copy", ">=", 0.6, "reaches 60 % of the rate at which the same history rows can be copied at all"),
    ("visible_p50", "<=", 10.0, "half of all events are readable within 10 ms at 1,000 events/s"),
    ("visible_p99", "<=", 50.0, "99 of 100 events are readable within 50 ms at 1,000 events/s"),
    ("stream_p99", "<=", 100.0, "and at a client of the stream within 50 ms more"),
    ("rebuild_vs_drain", ">=", 1.0, "rebuilds at least as fast as it drains"),
    ("memory_10x_vs_1x", "<=", 1.1, "needs no more memory for ten times the events"),
    ("list_10m_vs_10k", "<=", 1.5, "lists 10 million jobs about as fast as 10 thousand"),
    ("list_1m_vs_10k", "<=", 1.5, "lists a million jobs about as fast as 10 thousand"),
)

INTRODUCTION = """\
# Benchmarks

Written by `make bench-page` from the results of `make bench`; every figure below comes from one run on one machine.
Measure yours: a ratio travels between machines, a rate doesn't.

## How it is measured

- **Workload**: a seeded stream of valid lifecycle events, 15 a job, about 380 bytes of data each, 2,000 jobs in
  flight, keyed by job id on three partitions. Everybody reads the same topic, into a fresh database on the same
  PostgreSQL with the same settings, those of the local stack.
- **Drain rate**: the clock runs from the moment the first rows can be read to the moment the last job of each
  partition is finished; what the first rows already hold is taken off. Starting up is told apart.
- **Jobtrail** is its own process as people run it. It also writes every event into the history, keeps the rollups,
  its positions and its dead letters in the same transaction. No peer keeps a history.
- **Peers** are set up as their makers advise; the set-up is code in `bench/peers/`. All are measured in turn with
  Jobtrail, round by round, and a ratio is formed within a round. The first drain of each is not counted (a JVM
  warms up), but told.
- **Copy rate**: one connection copies the history rows of the same drain, made into bytes before, into the same
  emptied table with its indexes; in text or binary form, whichever is faster.
- **Event to visible**: from Kafka's acknowledgement to the first answer that shows the event, by `GET /jobs/{id}`
  for Jobtrail and by a query of its table for a peer. 25 samples a second at fixed times, so that a stall
  counts for every sample in it.
- Figures are medians of the runs; the last table says how many there were and what each gave.
"""


def main() -> int:
    """Exit status 2 when there are no results yet."""
    if not RESULTS.exists():
        print(f"{RESULTS} is missing: run `make bench` first", file=sys.stderr)
        return 2
    results = json.loads(RESULTS.read_text())
    PAGE.write_text("\n".join(page(results["about"], results["figures"])) + "\n")
    print(f"{PAGE} is written")
    return 0


def page(about: dict[str, Any], figures: dict[str, Any]) -> Iterator[str]:
    """The page, line by line."""
    yield INTRODUCTION
    yield from _about(about)
    yield from _goals(figures)
    yield from _drains(figures)
    yield from _wrong(figures)
    yield from _visible(figures)
    yield from _section("Rebuild, memory, two trackers", figures, ("rebuild", "memory", "drain_two", "two_"))
    yield from _section("Reads", figures, ("read", "list_", "requests_per"))
    yield from _section("The emitter", figures, ("progress_",))
    yield from _all(figures)


def _about(about: dict[str, Any]) -> Iterator[str]:
    yield "## This run\n"
    yield f"- {about['date']}" + (f", commit {about['commit']}" if about["commit"] else "")
    yield f"- {about['machine']}; {about['system']}"
    yield "- " + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield ""


def _goals(figures: dict[str, Any]) -> Iterator[str]:
    yield "## The goals\n"
    yield from _table("Goal", "Figure", "ListQuery", "Measured", "Met")
    for name, comparison, bound, meaning in GOALS:
        if name in figures:
            value = figures[name]["value"]
            met = value >= bound if comparison == ">=" else value <= bound
            sign = "≥" if comparison == ">=" else "≤"
            verdict = "yes" if met else "**no**"
            yield _row(meaning, f"`{name}`", f"{sign} {shown(bound)}", _value(figures[name]), verdict)
    yield ""
    yield "What an event costs, what stands in the way of a goal and what was tried: [scale](howto/scale.md).\n"


def _drains(figures: dict[str, Any]) -> Iterator[str]:
    yield "## Drain rate\n"
    yield from _table("", "events/s", "at a third of the size", "first drain", "start-up, s", "")
    for name, meaning in NAMES.items():
        figure = "drain_rate" if name == "jobtrail" else f"drain_{name}"
        if figure in figures:
            cells = (figure, f"{figure}_third", f"drain_{name}_first", f"startup_{name}")
            yield _row(meaning, *(_number(figures, cell) for cell in cells), figures[figure]["note"])
    limits = {
        "copy_rate": "limit: raw COPY of the history rows, with indexes",
        "copy_rate_no_indexes": "limit: the same without indexes",
        "consume_rate": "limit: consume and decode alone",
        "consume_rate_default": "limit: the same with the client's default settings",
    }
    for name, limit in limits.items():
        if name in figures:
            yield _row(limit, _number(figures, name), "", "", "", "")
    yield ""


def _wrong(figures: dict[str, Any]) -> Iterator[str]:
    yield "## Right or wrong\n"
    yield f"{LATE:.0%} of the events come late by up to a job's lifetime, {TWICE:.0%} come twice."
    yield "What share of the final rows is wrong?\n"
    yield from _table("", "wrong", "")
    for name, meaning in NAMES.items():
        if found := figures.get(f"wrong_{name}"):
            yield _row(meaning, f"{found['value']:.1%}", found["note"])
    yield ""
    yield "A finished job that hears one late event runs again at every peer. Quix' sink writes only the columns of"
    yield "a batch's first row: a batch that begins with another event than a finish loses every `finished_at` in it.\n"


def _visible(figures: dict[str, Any]) -> Iterator[str]:
    yield "## Event to visible\n"
    yield from _table("ms", "p50 at 500/s", "p99 at 500/s", "p50 at 1,000/s", "p99 at 1,000/s")
    for name, meaning in NAMES.items():
        suffix = "" if name == "jobtrail" else f"_{name}"
        cells = [f"visible{rate}_{share}{suffix}" for rate in ("_500", "") for share in ("p50", "p99")]
        if cells[0] in figures:
            yield _row(meaning, *(_number(figures, cell) for cell in cells))
    cells = [f"stream{rate}_{share}" for rate in ("_500", "") for share in ("p50", "p99")]
    if cells[0] in figures:
        yield _row("**Jobtrail**, at a client of `GET /stream`", *(_number(figures, cell) for cell in cells))
    yield ""


def _section(title: str, figures: dict[str, Any], beginnings: tuple[str, ...]) -> Iterator[str]:
    chosen = {name: found for name, found in figures.items() if name.startswith(beginnings)}
    if not chosen:
        return
    yield f"## {title}\n"
    yield from _table("Figure", "Value", "")
    for name, found in chosen.items():
        yield _row(f"`{name}`", _value(found), found["note"])
    yield ""


def _all(figures: dict[str, Any]) -> Iterator[str]:
    yield "## All figures\n"
    yield from _table("Figure", "Median", "Runs")
    for name, found in figures.items():
        yield _row(f"`{name}`", _value(found), ", ".join(shown(value) for value in found["values"]))


def _table(*heads: str) -> Iterator[str]:
    yield _row(*heads)
    yield _row(*("---" for _ in heads))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(figures: dict[str, Any], name: str) -> str:
    return shown(figures[name]["value"]) if name in figures else ""


def _value(found: dict[str, Any]) -> str:
    return f"{shown(found['value'])} {found['unit']}".removesuffix(" ratio")


if __name__ == "__main__":
    sys.exit(main())
