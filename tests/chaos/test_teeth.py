"""With any one guard removed the run must fail; with all of them in place the same faults break nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.chaos.mutants import GUARDS
from tests.chaos.phases import Phase
from tests.chaos.run import run_phase
from tests.chaos.servers import Servers
from tests.chaos.workload import Mix


class Tooth(NamedTuple):
    """What brings a missing guard to light, and what the checker then must speak of."""

    fault: str
    shows: str
    poison: float = 0.0  # share of records that no consumer can use


TEETH = {
    # A batch of nothing but poison would be buried twice without a trace.
    "compare_and_set": Tooth("cut_commit", "was buried"),
    "terminal": Tooth("none", "I3"),
    "attempt": Tooth("none", "I3"),
    "dead_letter": Tooth("kill_after_commit", "is no dead letter", poison=0.3),
    "greater_bytes": Tooth("none", "I1: item "),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("teeth") / "stack") as running:
        yield running


def phase(*teeth: Tooth) -> Phase:
    mix = Mix(poison=max(tooth.poison for tooth in teeth), disorder=0.7)
    faults = tuple(tooth.fault for tooth in teeth)
    return Phase("teeth", faults, pause=(0.0, 0.1), mix=mix, members=1, producers=2, rate=150.0)


def test_every_guard_has_its_tooth() -> None:
    assert set(TEETH) == set(GUARDS)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_with_all_guards_the_same_faults_break_nothing(servers: Servers, tmp_path: Path) -> None:
    assert run_phase(phase(*TEETH.values()), servers, tmp_path, "teeth").violations == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_without_a_guard_the_run_fails(servers: Servers, tmp_path: Path, guard: str) -> None:
    tooth = TEETH[guard]
    result = run_phase(phase(tooth), servers, tmp_path, "teeth", mutant=guard)
    assert any(tooth.shows in violation for violation in result.violations), result.violations
