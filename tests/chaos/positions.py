"""The observed positions of each partition over time, and the wait of a partition after its owner died."""

import bisect
import math
import threading
from collections.abc import Mapping
from typing import NamedTuple

from tests.chaos.members import Death

Partition = tuple[str, int]


class Move(NamedTuple):
    """A partition was seen at another position than before, by a look from `began` to `ended` (monotonic seconds)."""

    began: float
    ended: float
    position: int


class Positions:
    """Filled by one thread and read by others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moves: dict[Partition, list[Move]] = {}
        self._looks: list[float] = []  # when each look that is over began

    @property
    def looks(self) -> int:
        return len(self._looks)

    def saw(self, began: float, ended: float, positions: Mapping[Partition, int]) -> list[str]:
        """What one look has seen; I7, as violations: positions that fell."""
        fallen: list[str] = []
        with self._lock:
            for partition, position in positions.items():
                moves = self._moves.setdefault(partition, [])
                known = moves[-1].position if moves else None
                if known is not None and position < known:
                    fallen.append(f"I7: the position of {_name(partition)} fell from {known} to {position}")
                if position != known:
                    moves.append(Move(began, ended, position))
            self._looks.append(began)
        return fallen

    def last(self, partition: Partition) -> int:
        """The last seen position; 0 before any."""
        with self._lock:
            moves = self._moves.get(partition)
            return moves[-1].position if moves else 0

    def next_look(self, after: float) -> float | None:
        """When the first look after this moment began; None until it is over."""
        with self._lock:
            place = bisect.bisect_right(self._looks, after)
            return self._looks[place] if place < len(self._looks) else None

    def recoveries(self, deaths: list[Death]) -> list[float]:
        """Seconds from each death to the next commit of each partition that it held.

        Where the next owner died as well before it wrote, the wait counts from the later death.
        """
        waits = (self._wait(death, partition, deaths) for death in deaths for partition in death.held)
        return [wait for wait in waits if wait is not None and wait < math.inf]

    def unrecovered(self, deaths: list[Death], ends: Mapping[Partition, int]) -> list[str]:
        """I11, as violations: partitions without a new owner after a death, though their log grows."""
        return [
            f"I11: {_name(partition)} stands still since the death of {death.member}"
            for death in deaths
            for partition in sorted(death.held)
            if self._wait(death, partition, deaths) == math.inf and self.last(partition) < ends.get(partition, 0)
        ]

    def _wait(self, death: Death, partition: Partition, deaths: list[Death]) -> float | None:
        """Seconds, infinite if it never ended; None where a later death took the partition away before."""
        # What the first look afterwards sees may be the last that the dead process itself has written.
        known = self.next_look(death.at)
        with self._lock:
            moves = self._moves.get(partition, [])
            moved = next((move.ended for move in moves if known is not None and move.began > known), math.inf)
        later = min((d.at for d in deaths if d.at > death.at and partition in d.held), default=math.inf)
        return None if later < math.inf and moved >= later else moved - death.at


def _name(partition: Partition) -> str:
    return f"{partition[0]}[{partition[1]}]"
