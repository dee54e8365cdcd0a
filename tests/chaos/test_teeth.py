"""With any one guard removed the run must fail; with all of them in place the same faults break nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.mutants import GUARDS
from tests.chaos.phases import Phase
from tests.chaos.run import run_phase
from tests.chaos.servers import Servers
from tests.chaos.workload import Mix

# What brings each missing guard to light, and what the checker then must speak of.
FAULTS = {
    "compare_and_set": ("cut_commit",),
    "terminal": ("none",),
    "attempt": ("none",),
    "dead_letter": ("kill_after_commit",),
    "greater_bytes": ("none",),
}
SHOWS = {
    "compare_and_set": "was buried",
    "terminal": "I3",
    "attempt": "I3",
    "dead_letter": "is no dead letter",
    "greater_bytes": "I1: item ",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("teeth") / "stack") as running:
        yield running


def phase(*faults: str) -> Phase:
    mix = Mix(poison=0.3, disorder=0.7)
    return Phase("teeth", faults, pause=(0.0, 0.1), mix=mix, members=1, producers=2, rate=150.0)


def test_every_guard_has_its_faults() -> None:
    assert set(FAULTS) == set(SHOWS) == set(GUARDS)


@pytest.mark.timeout(900)
def test_with_all_guards_the_same_faults_break_nothing(servers: Servers, tmp_path: Path) -> None:
    every = phase(*(fault for faults in FAULTS.values() for fault in faults))
    assert run_phase(every, servers, tmp_path, "teeth").violations == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_without_a_guard_the_run_fails(servers: Servers, tmp_path: Path, guard: str) -> None:
    result = run_phase(phase(*FAULTS[guard]), servers, tmp_path, "teeth", mutant=guard)
    assert any(SHOWS[guard] in violation for violation in result.violations), result.violations
