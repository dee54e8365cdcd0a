"""The phases of a run with their faults and streams. Phase and seed determine the schedule."""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.tracker_process import POINTS
from tests.chaos.workload import Mix


class Step(NamedTuple):
    """Wait so many seconds, then do the fault with a random generator of this seed."""

    wait: float
    fault: str
    seed: int


@dataclass(frozen=True, slots=True)
class Phase:
    """`faults` come `rounds` times each, shuffled, `pause` seconds apart."""

    name: str
    faults: tuple[str, ...]
    rounds: int = 1
    pause: tuple[float, float] = (0.5, 2.0)
    mix: Mix = field(default_factory=Mix)
    members: int = 2
    producers: int = 3
    rate: float = 120.0  # records a second for each producer
    brokers: int = 1
    on_nothing: bool = False  # whether the members start on an empty database without topics
    must_refuse: tuple[str, ...] = ()  # the parts of which a zombie's batch must have been refused

    @property
    def points(self) -> list[str]:
        """The named points at which it kills; those of the sync log's projector begin with `items_`."""
        return [name.removeprefix("kill_") for name in self.faults if name in {*KILLS, *ITEM_KILLS}]

    def schedule(self, seed: str) -> list[Step]:
        chance = random.Random(f"{seed}/{self.name}")  # noqa: S311 - reproducible, not secret
        steps: list[Step] = []
        for _ in range(self.rounds):
            faults = list(self.faults)
            chance.shuffle(faults)
            steps += [Step(chance.uniform(*self.pause), name, chance.randrange(2**32)) for name in faults]
        return steps


KILLS = tuple(f"kill_{point}" for point in POINTS)
ITEM_KILLS = tuple(f"kill_items_{point}" for point in POINTS)
ZOMBIES = ("zombie_after_poll", "zombie_before_copy", "zombie_in_copy", "zombie_before_commit", "zombie_anywhere")
ITEM_ZOMBIES = ("zombie_items_in_copy", "zombie_items_before_commit", "zombie_items_anywhere")
POSTGRES = ("kill_postgres", "pause_postgres", "terminate_backends", "cut_commit", "cut_items_commit")
KAFKA = ("kill_kafka", "pause_kafka")

SHORT = Phase(
    "short",
    (
        *KILLS,
        "kill_items_after_copy",
        "zombie_after_poll",
        "cut_commit",
        "terminate_backends",
        "kill_postgres",
        "kill_kafka",
        "replay",
    ),
    pause=(0.0, 0.3),
    producers=2,
    rate=100.0,
    must_refuse=("projector",),
)
PHASES = (
    Phase("empty", ("kill_member",), on_nothing=True, members=3),
    Phase("points", (*KILLS, *ITEM_KILLS), rounds=3),
    Phase("kills", ("kill_member", "kill_projector", "kill_items"), rounds=10),
    Phase("zombies", (*ZOMBIES, *ITEM_ZOMBIES), must_refuse=("projector", "items")),
    Phase("churn", ("churn",), rounds=2),
    Phase("postgres", POSTGRES, rounds=2),
    Phase("kafka", KAFKA, rounds=2),
    Phase("twice", ("replay", "kill_projector", "kill_items", "add_partitions"), rounds=2, mix=Mix(twice=1.0)),
    Phase(
        "odd",
        ("kill_after_copy", "kill_items_after_copy", "replay_some"),
        rounds=2,
        mix=Mix(poison=0.2, wild=0.4, disorder=1.0, elsewhere=0.3),
    ),
    Phase("cluster", ("kill_leader", "pause_leader", "kill_projector"), rounds=3, brokers=3),
    Phase(
        "mixed",
        (
            *KILLS,
            *POSTGRES,
            *KAFKA,
            "zombie_after_poll",
            "churn",
            "replay_some",
            "kill_member",
            "kill_projector",
            "kill_items",
            "zombie_items_before_commit",
            "kill_member",
        ),
        rounds=3,
        mix=Mix(twice=0.3, poison=0.05, wild=0.1, disorder=0.7, elsewhere=0.1),
        must_refuse=("projector", "items"),
    ),
)
