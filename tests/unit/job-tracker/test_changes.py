"""The change log: readers that come, wait and fall off, each sees every job as it is at last, and none go back."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_events.tokens import decode_token, encode_token
from job_tracker.domain import event_stream
from job_tracker.domain.changes import ChangeLog, JobChange, Key, View, ViewChanges, changes_in_view
from job_tracker.domain.positions import Range, covers, events_between, steps

STATUSES = ("PENDING", "RUNNING", "COMPLETED")
P0, P1 = ("t", 0), ("t", 1)


class Snapshot(NamedTuple):
    """The table as it was at some moment."""

    positions: dict[Any, int]
    rows: dict[str, int]

    def change(self, job: str) -> JobChange:
        version = self.rows[job]
        return JobChange(job, Key("demo", "shop", "PULL", "chain", STATUSES[version]), f"{job}={version}".encode())

    def held(self, view: View) -> dict[str, int]:
        return {job: version for job, version in self.rows.items() if view.holds(job, self.change(job).key)}


class World:
    """A table whose jobs only go forward, its log, and the feed that looks at it now and then.

    A look has a snapshot of its beginning, and tells the log of it step by step while the table moves on.
    """

    def __init__(self, chance: random.Random, kept: int) -> None:
        self.chance = chance
        self.events: list[tuple[tuple[str, int], str]] = []
        self.rows: dict[str, int] = {}
        self.positions = {P0: 0, P1: 0}
        self.log = ChangeLog(kept)
        self.log.restart(dict(self.positions))
        self.looking: Iterator[None] = iter(())

    def snapshot(self) -> Snapshot:
        return Snapshot(dict(self.positions), dict(self.rows))

    def happen(self) -> None:
        job = f"job-{self.chance.randrange(20)}"
        partition = self.chance.choice([P0, P1])
        self.events.append((partition, job))
        self.positions[partition] += 1
        self.rows[job] = min(2, self.rows.get(job, -1) + 1)

    def jobs(self, start: dict[Any, int], end: dict[Any, int]) -> list[str]:
        seen: dict[Any, int] = {}
        jobs: dict[str, None] = {}
        for partition, job in self.events:
            offset = seen.get(partition, 0)
            seen[partition] = offset + 1
            if start.get(partition, 0) <= offset < end[partition]:
                jobs[job] = None
        return list(jobs)

    def look(self) -> None:
        """The next step of a look; with the last one, the beginning of another."""
        if next(self.looking, self) is self:
            self.looking = self.steps(self.snapshot(), self.log.positions)
            next(self.looking, None)

    def look_up(self) -> None:
        """To the very end of the log."""
        while self.log.positions != self.positions:
            self.look()

    def steps(self, seen: Snapshot, told: dict[Any, int]) -> Iterator[None]:
        for reached, ranges in steps(told, seen.positions, 3):
            low = dict(reached) | {(r.topic, r.partition): r.low for r in ranges}
            self.log.add(reached, map(seen.change, self.jobs(low, reached)), told)
            yield


class SnapshotReader:
    """Reads the table, joins the log some time later, and follows it, as `Follower` does."""

    def __init__(self, world: World, view: View) -> None:
        self.world, self.view = world, view
        self.jobs: dict[str, int] = {}
        self.read: Snapshot | None = None
        self.number: int | None = None
        self.seen: dict[str, int] = {}
        self.known = False

    def step(self) -> None:
        log = self.world.log
        if self.read is None:
            self.read = self.world.snapshot()
            self.jobs = self.read.held(self.view)
            self.seen |= self.read.rows
            return
        if self.number is None:
            self.number, self.known = log.join(self.read.positions), False
        taken = None
        if self.number is not None:
            if not self.known:
                self.number, self.known = log.beyond(self.number, self.read.positions)
            taken = log.take(self.number, 2)
        if taken is None:
            self.read = self.number = None
            return
        told = changes_in_view(self.view, taken.changes, former_known=self.known)
        self.number = taken.number
        for body in told.jobs:
            job, version = body.decode().split("=")
            assert int(version) >= self.seen.get(job, 0)
            self.jobs[job] = self.seen[job] = int(version)
        for job in told.removed:
            self.jobs.pop(job, None)


@pytest.mark.parametrize("seed", range(300))
def test_readers_converge_whatever_they_missed(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    world = World(chance, chance.randrange(1, 12))
    views = [View(), View(status=frozenset({"RUNNING"})), View(status=frozenset({"PENDING", "COMPLETED"}))]
    readers = [SnapshotReader(world, view) for view in views]
    for act in chance.choices("eellrr", k=100):
        if act == "e":
            world.happen()
        elif act == "l":
            world.look()
        else:
            chance.choice(readers).step()
    world.look_up()
    for reader in readers:
        for _ in range(100):
            reader.step()
        assert reader.jobs == world.snapshot().held(reader.view)


def change(job: str, status: str = "RUNNING", tenant: str = "demo") -> JobChange:
    return JobChange(job, Key(tenant, "shop", "PULL", "chain", status), b"{}")


def test_memory_is_bounded_whatever_comes() -> None:
    log = ChangeLog(100)
    for number in range(1000):
        log.add({P0: number}, [change(f"job-{number}-{n}") for n in range(number % 7)], {})
    kept = len(log._batches) + sum(len(batch.changes) for batch in log._batches)  # pyright: ignore[reportPrivateUsage]
    assert 100 <= kept < 110
    assert len(log._last_keys) <= 200  # pyright: ignore[reportPrivateUsage]
    assert log.take(log.last, 10) == (log.last, {P0: 999}, [])
    assert log.take(0, 10) is None
    assert log.join({P0: 10}) is None


def test_a_view_hears_only_of_what_it_may_have_held() -> None:
    log = ChangeLog(100)
    log.restart({})
    running, foreign = View(tenant="demo", status=frozenset({"RUNNING"})), View(tenant="other")
    told: list[tuple[ViewChanges, ViewChanges]] = []
    for number, status in enumerate(("PENDING", "RUNNING", "COMPLETED", "COMPLETED")):
        log.add({P0: number + 1}, [change("a", status)], {P0: number})
        taken = log.take(log.last - 1, 1)
        assert taken
        told.append(tuple(changes_in_view(view, taken.changes, former_known=True) for view in (running, foreign)))  # pyright: ignore[reportArgumentType]
    assert [here for here, _ in told] == [([], ["a"]), ([b"{}"], []), ([], ["a"]), ([], [])]
    assert all(there == ([], []) for _, there in told)
    # Without knowing what was told before, rather too much than too little.
    assert changes_in_view(running, [change("a", "COMPLETED")], former_known=False) == ([], ["a"])
    # Coalesced: what was told before the first of several changes decides.
    taken = log.take(log.last - 3, 1)
    assert taken
    assert [one.key.status for one in taken.changes] == ["RUNNING"]


def test_a_job_whose_first_events_named_another_account_leaves_that_view() -> None:
    log = ChangeLog(100)
    log.restart({})
    log.add({P0: 1}, [change("a", tenant="wrong")], {})
    log.add({P0: 2}, [change("a", tenant="right")], {P0: 1})
    taken = log.take(log.last - 1, 1)
    assert taken
    assert changes_in_view(View(tenant="wrong"), taken.changes, former_known=True) == ([], ["a"])


@given(
    st.dictionaries(st.sampled_from([P0, P1, ("u", 3)]), st.integers(0, 50)),
    st.dictionaries(st.sampled_from([P0, P1, ("u", 3)]), st.integers(0, 50)),
    st.integers(1, 20),
)
def test_steps_pass_every_offset_once_and_arrive(start: Any, further: Any, most: int) -> None:
    end = {partition: start.get(partition, 0) + further.get(partition, 0) for partition in start | further}
    passed: list[Range] = []
    at = dict(start)
    for reached, ranges in steps(start, end, most):
        assert sum(one.high - one.low for one in ranges) <= most
        assert covers(reached, at)
        passed += ranges
        at = reached
    offsets = [(one.topic, one.partition, n) for one in passed for n in range(one.low, one.high)]
    assert len(offsets) == len(set(offsets)) == events_between(start, end)
    assert covers(at, end) and covers(end, at)


def test_a_large_batch_is_several_events_and_only_the_last_can_be_resumed_after() -> None:
    told = ViewChanges([b'{"x":"' + b"y" * 30_000 + b'"}'] * 5, ["gone"])
    place = event_stream.StreamPosition({("jobs.events", 0): 7}, 16_384)
    frames = list(event_stream.jobs(told, place))
    assert [frame.count(f"id: {place.id}\n".encode()) for frame in frames] == [0, 0, 1]
    assert all(frame.startswith(b"event: jobs\n") and frame.endswith(b"\n\n") for frame in frames)
    assert b'"removed":["gone"]' in frames[-1]
    assert list(event_stream.jobs(ViewChanges([], []), place)) == []


def test_the_id_of_a_place_is_a_freshness_token_too() -> None:
    place = event_stream.StreamPosition({("jobs.events", 0): 7}, 16_384)
    assert event_stream.StreamPosition.read(place.id) == place
    assert decode_token(place.id) == place.positions
    assert event_stream.StreamPosition.read(encode_token(place.positions)) == (place.positions, None)
    for wrong in (f"{place.id}x", "x.5", f"{place.id}.1", f"{encode_token(place.positions)}.{'9' * 5000}"):
        with pytest.raises(ValueError, match="not a"):
            event_stream.StreamPosition.read(wrong)


@pytest.mark.parametrize("name", ["tenant", "account", "chain"])
def test_each_filter_filters(name: str) -> None:
    key = Key("a", "b", "c", "d", "RUNNING")
    value = getattr(key, name)
    assert View(**{name: value}).holds("j", key)
    assert not View(**{name: "else"}).holds("j", key)
    assert View(job_type=frozenset({"c"}), job_id=frozenset({"j"})).holds("j", key)
    assert not View(job_id=frozenset({"k"})).holds("j", key)
