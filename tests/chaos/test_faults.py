"""A fault that did not come about says so: what was never broken proves nothing."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.chaos import faults
from tests.chaos.faults import FAULTS, NotDone
from tests.chaos.members import Continued

P = ("c1.jobs.events", 0)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not so at once will never be."""

    def at_once(condition: Callable[[], bool], _patience: float = 0) -> bool:
        return condition()

    monkeypatch.setattr(faults, "until", at_once)


class Holder:
    """A projector that holds a partition, and can be stopped, but neither killed nor brought to a point."""

    name, part, process = "projector-1", "projector", SimpleNamespace(pid=113)

    def __init__(self, log: Path) -> None:
        self.log = log
        log.touch()

    def busy(self) -> frozenset[tuple[str, int]]:
        return frozenset({P})

    def is_stopped(self) -> bool:
        return True

    def armed(self) -> bool:
        return True

    def disarm(self) -> bool:
        return True

    def arm(self, *_: object) -> None: ...

    def signal(self, *_: object) -> None: ...

    def kill(self) -> int:
        return 113

    def resume(self) -> Continued:
        return Continued(self.log, self.log.stat().st_size)


class Positions:
    """Of partitions that somebody moves on all the time."""

    def __init__(self) -> None:
        self._at = 0

    def last(self, _partition: object) -> int:
        self._at += 1
        return self._at


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """A world in which nothing that a fault does has any effect."""
    holder = Holder(tmp_path / "projector-1.1.log")
    return SimpleNamespace(
        servers=SimpleNamespace(
            proxy=SimpleNamespace(cut=0, cut_next_commit=lambda _: None), terminate_backends=lambda: 0
        ),
        fleet=SimpleNamespace(of=lambda _: [holder], everybody=lambda: [holder], death_of=lambda _: None),
        driver=SimpleNamespace(replay=lambda _: 0),
        watch=SimpleNamespace(look_again=lambda: None, positions=Positions()),
        points={},
        killed_members=0,
        refused=Counter(),
    )


@pytest.mark.parametrize(
    "name",
    [
        *("kill_member", "kill_projector", "kill_after_copy", "cut_commit", "terminate_backends", "replay"),
        *("zombie_before_commit", "zombie_anywhere"),
    ],
)
def test_a_fault_without_any_effect_did_not_come_about(world: Any, name: str) -> None:
    with pytest.raises(NotDone):
        FAULTS[name](world, random.Random(1))  # noqa: S311 - reproducible, not secret
    assert (world.killed_members, world.points, world.refused.total()) == (0, {}, 0)


class Zombie(Holder):
    """A projector that comes back, and says so in these lines."""

    says: tuple[str, ...] = ()

    def disarm(self) -> bool:
        return False

    def resume(self) -> Continued:
        continued = super().resume()
        self.log.write_text("".join(f"{line}\n" for line in self.says))
        return continued


ANEW = '{"event": "assigned", "positions": {}}'
REFUSED = '{"event": "fenced: another owner has moved the positions", "partitions": [["c1.jobs.events", 0]]}'


@pytest.mark.parametrize(
    ("name", "says", "done"),
    [
        ("zombie_anywhere", (ANEW,), True),
        ("zombie_anywhere", (REFUSED, ANEW), True),
        ("zombie_before_commit", (ANEW,), False),
        ("zombie_before_commit", (REFUSED, ANEW), True),
    ],
)
def test_a_zombie_at_a_point_must_be_refused_what_it_had_in_hand(
    *, world: Any, tmp_path: Path, name: str, says: tuple[str, ...], done: bool
) -> None:
    zombie = Zombie(tmp_path / "projector-2.1.log")
    zombie.says = says
    world.fleet.of = lambda _: [zombie]
    if done:
        FAULTS[name](world, random.Random(1))  # noqa: S311 - reproducible, not secret
    else:
        with pytest.raises(NotDone):
            FAULTS[name](world, random.Random(1))  # noqa: S311
    assert world.refused["projector"] == says.count(REFUSED)
