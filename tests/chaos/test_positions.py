"""How long a partition waited after a death: only what another has written ends the wait."""

from tests.chaos.members import Death
from tests.chaos.positions import Positions

P = ("jobs.events", 0)


def looks(*seen: int) -> Positions:
    """Looks at full seconds from 1 on, a tenth of a second long."""
    positions = Positions()
    for second, position in enumerate(seen, 1):
        assert positions.saw(second, second + 0.1, {P: position}) == []
    return positions


def death(at: float) -> Death:
    return Death(at, "projector-1", 113, None, frozenset({P}))


def test_the_dead_process_own_last_commit_is_no_recovery() -> None:
    assert looks(5, 9, 9, 9, 12).recoveries([death(1.5)]) == [5.1 - 1.5]


def test_a_wait_counts_from_the_last_of_several_deaths() -> None:
    positions = looks(5, 5, 5, 5, 5, 8)
    assert positions.recoveries([death(1.5), death(3.5)]) == [6.1 - 3.5]
    assert positions.unrecovered([death(1.5), death(3.5)], {P: 8}) == []


def test_a_partition_that_stands_still_behind_its_log_is_told() -> None:
    positions = looks(5, 5, 5)
    assert positions.recoveries([death(1.5)]) == []
    assert positions.unrecovered([death(1.5)], {P: 6}) == [
        "I11: jobs.events[0] stands still since the death of projector-1"
    ]
    assert positions.unrecovered([death(1.5)], {P: 5}) == []


def test_a_position_that_falls_is_told() -> None:
    assert looks(5).saw(2, 2.1, {P: 4}) == ["I7: the position of jobs.events[0] fell from 5 to 4"]
