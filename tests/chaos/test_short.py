"""A short chaos run: each named point once, a zombie, and the servers' faults. `make chaos` runs them all."""

import os
from pathlib import Path

import pytest
from tests.chaos.phases import SHORT
from tests.chaos.run import run_phase
from tests.chaos.servers import Servers


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_invariant_breaks_under_a_short_chaos_run(tmp_path: Path) -> None:
    seed = os.environ.get("CHAOS_SEED", "1")
    with Servers(tmp_path / "stack") as servers:
        result = run_phase(SHORT, servers, tmp_path / "history", seed)
    assert result.violations == []
    assert all(result.points.values()), result.points
    assert result.refused > 0
    assert result.acknowledged > 1000
