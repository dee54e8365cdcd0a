"""`python -m bench.report`: write docs/benchmarks.md from the results of the last run."""

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
    "debezium_history": "Debezium JDBC sink, warm, and a second sink that inserts a history row for each event",
    "debezium": "Debezium JDBC sink on Kafka Connect, warm",
    "plain_unnest": "plain loop, 5,000 events folded through unnest",
    "quix": "Quix Streams' PostgreSQL sink",
    "faust_take": "Faust agent, batches by `take`",
    "plain_event": "plain loop, an upsert an event",
    "faust_event": "Faust agent, an upsert an event",
}
# A goal: figure, comparison, bound, meaning.
GOALS = (
    ("wrong_jobtrail", "<=", 0.0, "no job is wrong after a shuffled and duplicated stream"),
    ("drain_vs_same_work", ">=", 2.5, "drains 2.5 times as fast as the peer that also keeps a history"),
    ("drain_vs_best_peer", ">=", 1.0, "drains as fast as the best warm peer, none of which keeps a history"),
    ("drain_vs_copy", ">=", 0.6, "reaches 60 % of the rate at which the same history rows can be copied at all"),
    ("visible_p50", "<=", 10.0, "half of all events are readable within 10 ms at 1,000 events/s"),
    ("visible_p99", "<=", 50.0, "99 of 100 events are readable within 50 ms at 1,000 events/s"),
    ("stream_p99", "<=", 100.0, "and at a client of the stream within 50 ms more"),
    ("rebuild_vs_drain", ">=", 1.0, "rebuilds at least as fast as it drains"),
    ("memory_10x_vs_1x", "<=", 1.1, "needs no more memory for ten times the events"),
    ("list_10m_vs_10k", "<=", 1.5, "lists 10 million jobs about as fast as 10 thousand"),
    ("rate_used_nhanh", ">=", 0.95, "long pulls use 95 % of the calls that Nhanh allows"),
    ("own_429_nhanh", "<=", 0.0, "and cause no answer of too many calls"),
    ("rate_used_shopify", ">=", 0.95, "long pulls use 95 % of the points that Shopify restores"),
    ("own_429_shopify", "<=", 0.0, "and cause no answer of too many points"),
    ("list_1m_vs_10k", "<=", 1.5, "lists a million jobs about as fast as 10 thousand"),
)

INTRODUCTION = """\
# Benchmarks

Jobtrail writes a job table and a history of every event. Two figures compare how fast it drains a topic:

- `drain_vs_same_work` compares it with the peer that does the same work: Debezium's JDBC sink with a second sink that
  inserts one history row for each event. Goal: at least 2.5.
- `drain_vs_best_peer` compares it with the fastest of the peers that keep the job table only and no history.
  Goal: at least 1.

`make bench-page` writes this page from the results of `make bench`. All figures come from one run on one machine.
Ratios are comparable between machines, rates are not: measure on yours.

## How it is measured

- **Workload**: a seeded stream of valid lifecycle events, 15 a job, about 380 bytes of data each, 2,000 jobs in
  flight, keyed by job id on three partitions. All candidates read the same topic, into a fresh database on the same
  PostgreSQL with the same settings, those of the local stack.
- **Drain rate**: the clock runs from the first readable rows until the last job of each partition is finished.
  Events that the first rows already hold are subtracted. Start-up time is reported apart.
- **Jobtrail** is a process of its own, as in production. In one transaction it writes the job table, every event into
  the history, the rollups, its positions and its dead letters.
- **Peers** are configured as their makers advise; the configuration is code in `bench/peers/`. All are measured in turn
  with Jobtrail, round by round, and a ratio is formed within a round. The first drain of each is reported and not
  counted, because a JVM warms up.
- **The peer with a history** runs two sinks on one Connect worker: the job table as above, and `insert.mode=insert`
  keyed by the Kafka position, into a table with the two indexes of Jobtrail's history. The two sinks commit
  independently. A job counts as far as both tables hold its events.
- **Copy rate**: one connection copies the history rows of the same drain, serialized beforehand, into the same
  emptied table with its indexes; in text or binary form, whichever is faster.
- **Event to visible**: from Kafka's acknowledgement to the first answer that shows the event, by `GET /jobs/{id}`
  for Jobtrail and by a query of its table for a peer. 25 samples a second at fixed times, so that a stall
  counts for every sample in it.
- **A million jobs a day** (`retention_*`): a table filled at the rate of 1,000 accounts that each run four jobs in five
  minutes. The figures of a day are those of the table, scaled. The sweep deletes a part of the oldest jobs: alone,
  beside the projector on a full topic, and beside the lists.
- Figures are medians of the runs; the last table lists each run's value.
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
    yield from _section("A million jobs a day", figures, ("retention_",))
    yield from _section("The emitter", figures, ("progress_",))
    yield from _section("The claim of a job", figures, ("claim_",))
    yield from _all(figures)


def _about(about: dict[str, Any]) -> Iterator[str]:
    yield "## This run\n"
    yield f"- {about['date']}" + (f", commit {about['commit']}" if about["commit"] else "")
    yield f"- {about['machine']}; {about['system']}"
    yield "- " + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield ""


def _goals(figures: dict[str, Any]) -> Iterator[str]:
    yield "## The goals\n"
    yield from _table("Goal", "Figure", "Bound", "Measured", "Met")
    for name, comparison, bound, meaning in GOALS:
        if name in figures:
            value = figures[name]["value"]
            met = value >= bound if comparison == ">=" else value <= bound
            sign = "≥" if comparison == ">=" else "≤"
            verdict = "yes" if met else "**no**"
            yield _row(meaning, f"`{name}`", f"{sign} {shown(bound)}", _value(figures[name]), verdict)
    yield ""
    yield "[Scale](howto/scale.md) explains the cost of an event, what limits each goal and what was tried.\n"


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
    yield f"{LATE:.0%} of the events are late by up to a job's lifetime, {TWICE:.0%} are delivered twice."
    yield "The table lists the share of final rows that are wrong.\n"
    yield from _table("", "wrong", "")
    for name, meaning in NAMES.items():
        if found := figures.get(f"wrong_{name}"):
            yield _row(meaning, f"{found['value']:.1%}", found["note"])
    yield ""
    yield "At every peer, one late event sets a finished job back to running. Quix' sink writes only the columns of"
    yield "a batch's first row: a batch whose first event is not a finish loses every `finished_at` in it.\n"


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
