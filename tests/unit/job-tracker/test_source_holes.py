"""Offsets without a record (transaction markers): every record is taken once, in order, however fetches divide."""

from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from job_tracker.log.records import EmptyRange
from job_tracker.projector.source import KafkaSource
from job_tracker.store.status import Status

TOPIC = "jobs.events"


class Fetched:
    """A message as the client gives it."""

    def __init__(self, offset: int, *, is_end: bool = False) -> None:
        self._offset = offset
        self._is_end = is_end

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._is_end else None  # pyright: ignore[reportPrivateUsage]

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, self._offset

    def key(self) -> bytes:
        return b"job"

    value = key


class Whole:
    """Positions of a log that is what it was."""

    def __init__(self) -> None:
        self.unusable: dict[str, str] = {}

    def compare(self, found: dict[str, str], missing: dict[str, str]) -> None: ...


class Log:
    """One partition, read from the last seek on; `stale` messages of an older fetch come first, ends among them.

    The end is told once, until a seek.
    """

    def __init__(self, offsets: list[int], sizes: list[int], stale: list[int], end: int | None = None) -> None:
        self._offsets, self._sizes = offsets, sizes
        self._stale = [Fetched(offset, is_end=offset not in offsets) for offset in stale]
        self._end = end
        self._at, self._told = 0, False
        self.seeks = 0

    def poll(self, timeout: float) -> Fetched | None:
        return next(iter(self._take(1)), None)

    def consume(self, most: int, timeout: float) -> list[Fetched]:
        return self._take(min(most, self._sizes.pop() if self._sizes else most))

    def seek(self, to: TopicPartition) -> None:
        self._at, self._stale, self._told = to.offset, [], False
        self.seeks += 1

    def is_stalled(self, **_received: bool) -> bool:
        return False

    def _take(self, most: int) -> list[Fetched]:
        old, self._stale = self._stale[:most], self._stale[most:]
        new = [offset for offset in self._offsets if offset >= self._at][: most - len(old)]
        self._at = new[-1] + 1 if new else self._at
        found = old + [Fetched(offset) for offset in new]
        if self._end is not None and not self._told and len(found) < most:
            self._at, self._told = self._end, True
            found.append(Fetched(self._end, is_end=True))
        return found


def read(log: Log, records: int, passed: list[EmptyRange] | None = None) -> list[int]:
    source = KafkaSource.__new__(KafkaSource)
    source.__dict__.update(_store=Whole(), _stopped={}, _seen=None)
    source.__dict__.update(
        _consumer=log,
        _broken=None,
        _outlived=False,
        _empty=[],
        _holes={},
        _doubted={},
        _read={(TOPIC, 0): 0},
        _status=Status(lambda: 0.0),
    )
    taken: list[int] = []
    for _ in range(20 * records + 20):
        taken += [record.offset for record in source.poll(1000, 0)]
        if passed is not None:
            passed += source.take_empty()
    return taken


@given(
    offsets=st.sets(st.integers(0, 40)).map(sorted),
    sizes=st.lists(st.integers(0, 9), max_size=30),
    old=st.sets(st.integers(0, 40), max_size=5),
)
def test_every_record_is_taken_once_and_in_order(offsets: list[int], sizes: list[int], old: set[int]) -> None:
    stale = [offset for offset in offsets if offset in old]
    assert read(Log(offsets, sizes, stale), len(offsets)) == offsets


def test_one_look_again_is_enough_for_all_holes_of_a_fetch() -> None:
    log: Any = Log(list(range(0, 2000, 2)), [], [])
    assert read(log, 100) == list(range(0, 2000, 2))
    assert log.seeks <= 3


@given(
    offsets=st.sets(st.integers(0, 40)).map(sorted),
    sizes=st.lists(st.integers(0, 9), max_size=30),
    behind=st.integers(0, 9),
    old=st.sets(st.integers(0, 60), max_size=5).map(sorted),
)
def test_each_offset_is_a_record_or_is_passed_once(
    offsets: list[int], sizes: list[int], behind: int, old: list[int]
) -> None:
    """Also when an end that an older fetch has told comes first: only what shows twice is believed."""
    end = (offsets[-1] + 1 if offsets else 0) + behind
    passed: list[EmptyRange] = []
    assert read(Log(offsets, sizes, old, end), len(offsets), passed) == offsets
    empty = [offset for one in passed for offset in range(one.low, one.high)]
    assert sorted(empty + offsets) == list(range(end))
