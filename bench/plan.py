"""The sizes of a run: usual, full, and a smoke test of every section."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and repeats. `events` drain at full size, `small_events` for memory, `slow_events` through slow peers.

    More than two rounds of drains take `longest_rounds` seconds at most.

    `retention_jobs`: 1,152,000 are a day of 1,000 accounts, of which each runs four jobs in five minutes.

    120,000 calls of the emitter fill its queue while Kafka is away, so that dropping is measured too.
    """

    events: int
    third: int
    small_events: int
    large_events: int
    slow_events: int
    repeats: int
    few_repeats: int
    longest_rounds: float
    shaken_jobs: int
    live_seconds: float
    peer_live_seconds: float
    settle_seconds: float
    emitter_calls: int
    read_sizes: tuple[int, ...]
    rate_seconds: float
    queued_rows: int
    claims: int
    retention_jobs: int


USUAL = Plan(
    events=900_000,
    third=300_000,
    small_events=200_000,
    large_events=2_000_000,
    slow_events=20_000,
    repeats=3,
    few_repeats=2,
    longest_rounds=330,
    shaken_jobs=2_000,
    live_seconds=20,
    peer_live_seconds=10,
    settle_seconds=4,
    emitter_calls=120_000,
    read_sizes=(10_000, 1_000_000),
    rate_seconds=95,
    queued_rows=100_000,
    claims=1_000,
    retention_jobs=230_400,
)
FULL = Plan(
    events=900_000,
    third=300_000,
    small_events=900_000,
    large_events=9_000_000,
    slow_events=20_000,
    repeats=5,
    few_repeats=3,
    longest_rounds=math.inf,
    shaken_jobs=10_000,
    live_seconds=60,
    peer_live_seconds=30,
    settle_seconds=4,
    emitter_calls=120_000,
    read_sizes=(10_000, 1_000_000, 10_000_000),
    rate_seconds=320,
    queued_rows=100_000,
    claims=2_000,
    retention_jobs=3_456_000,
)
SMOKE = Plan(
    events=3_000,
    third=1_500,
    small_events=1_500,
    large_events=3_000,
    slow_events=300,
    repeats=1,
    few_repeats=1,
    longest_rounds=math.inf,
    shaken_jobs=60,
    live_seconds=1,
    peer_live_seconds=1,
    settle_seconds=0.5,
    emitter_calls=2_000,
    read_sizes=(),
    rate_seconds=0,
    queued_rows=2_000,
    claims=10,
    retention_jobs=0,
)
