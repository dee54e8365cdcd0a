"""The two threads of a projector, without servers: what becomes of records whose partition goes and comes back."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from job_tracker.log.records import EmptyRange, Positions, Record
from job_tracker.projector.batch import MOST_BYTES, Batch, DeadLetterRow
from job_tracker.projector.loop import Projector
from job_tracker.store.status import Status

NOW = datetime(2026, 5, 1, tzinfo=UTC)
P = ("jobs.events", 0)


def records(*offsets: int, value: bytes = b"") -> list[Record]:
    return [Record(*P, offset, NOW, None, value) for offset in offsets]


class Plain:
    """A projection whose content is nothing."""

    name = "plain"
    topics = (P[0],)
    session = ""

    def begin(self) -> None:
        return None

    def add(self, content: None, records: Any) -> list[DeadLetterRow]:
        return []

    def pack(self, content: None) -> None:
        return None


class Source:
    """Plays a script: each poll is one step of it."""

    def __init__(self, begins: Positions, script: list[Callable[["Source"], list[Record]]]) -> None:
        self.begins = begins
        self.left: set[tuple[str, int]] = set()
        self.is_stalled = self.closed = False
        self.rewound: list[set[tuple[str, int]]] = []
        self.empty: list[EmptyRange] = []
        self.flush_before_revoke: Callable[[], None] = lambda: None
        self._script = script

    def poll(self, most: int, timeout: float) -> list[Record]:
        return self._script.pop(0)(self) if self._script else []

    def take_empty(self) -> list[EmptyRange]:
        empty, self.empty = self.empty, []
        return empty

    def rewind(self, partitions: set[tuple[str, int]]) -> None:
        self.rewound.append(set(partitions))

    def report(self, at_once: bool = False) -> None: ...

    def close(self) -> None:
        self.flush_before_revoke()
        self.closed = True


class Writer:
    """Keeps the batches; the first waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[tuple[Positions, list[int]]] = []
        self.go, self.second = threading.Event(), threading.Event()

    def commit(self, batch: Batch[None], sure: Future[set[str]]) -> set[tuple[str, int]]:
        sure.result(120)
        self.batches.append((batch.starts, [record.offset for record in batch.records]))
        if len(self.batches) == 2:
            self.second.set()
        assert self.go.wait(120)
        return set()


class Nothing:
    def check(self) -> set[str]:
        return set()

    def close(self) -> None: ...


def run(writer: Writer, stop: threading.Event, *sources: Source, projection: Plain | None = None) -> None:
    """A projector from its start to its end, with one source after the other."""
    opened = iter(sources)

    def open_source(flush_before_revoke: Callable[[], None]) -> Source:
        source = next(opened)
        source.flush_before_revoke = flush_before_revoke
        return source

    loop: Projector[Any] = Projector(
        projection=projection or Plain(),  # pyright: ignore[reportArgumentType]
        committer=writer,  # pyright: ignore[reportArgumentType]
        connection=Nothing(),  # pyright: ignore[reportArgumentType]
        store=Nothing(),  # pyright: ignore[reportArgumentType]
        open_source=open_source,  # pyright: ignore[reportArgumentType]
        status=Status(lambda: 0.0),
        stop=stop,
        batch_events=100,
    )
    loop.run()


def test_what_was_read_of_a_partition_that_came_back_is_let_go() -> None:
    """Another owner has brought it to 10 meanwhile: what lies before must neither be written nor move the position."""
    writer, stop = Writer(), threading.Event()

    def comes_back(source: Source) -> list[Record]:
        source.left, source.begins = {P}, {P: 10}
        writer.go.set()
        return []

    def ends(source: Source) -> list[Record]:
        if writer.second.wait(0.001) or not more:
            stop.set()
        else:
            script.append(more.pop())
        return []

    more = [ends] * 5000
    script = [lambda _: records(0), lambda _: records(1, 2, 3), comes_back, lambda _: records(10, 11), ends]
    source = Source({P: 0}, script)
    run(writer, stop, source)
    assert writer.batches == [({P: 0}, [0]), ({P: 10}, [10, 11])]
    assert source.rewound == [{P}]
    assert source.begins == {P: 12}


def test_what_was_read_of_a_partition_that_came_back_is_let_go_at_the_end_too() -> None:
    writer, stop = Writer(), threading.Event()

    def comes_back_and_ends(source: Source) -> list[Record]:
        source.left, source.begins = {P}, {P: 10}
        stop.set()
        writer.go.set()
        return []

    source = Source({P: 0}, [lambda _: records(0), lambda _: records(1, 2, 3), comes_back_and_ends])
    run(writer, stop, source)
    assert writer.batches == [({P: 0}, [0])]
    assert source.begins == {P: 10}


def test_another_source_takes_the_place_of_a_deaf_one() -> None:
    """What was read is written while the first is closed; the other begins at PostgreSQL's positions, behind it."""
    writer, stop = Writer(), threading.Event()
    writer.go.set()

    def goes_deaf(source: Source) -> list[Record]:
        source.is_stalled = True
        return records(1, 2)

    def ends(source: Source) -> list[Record]:
        if writer.second.wait(0.001) or not more:
            stop.set()
        else:
            second.append(more.pop())
        return []

    more = [ends] * 5000
    first = [lambda _: records(0), goes_deaf]
    second = [lambda _: records(3, 4), ends]
    sources = [Source({P: 0}, first), Source({P: 3}, second)]
    run(writer, stop, *sources)
    assert [source.closed for source in sources] == [True, True]
    assert writer.batches == [({P: 0}, [0]), ({P: 1}, [1, 2]), ({P: 3}, [3, 4])]


def test_a_batch_is_full_by_its_bytes_however_few_records_have_them() -> None:
    """While the writer is busy nothing more is read: the batch is packed, and goes on as it is."""
    writer, stop = Writer(), threading.Event()
    packed: list[int] = []

    class Packing(Plain):
        def pack(self, content: None) -> None:
            packed.append(len(script))
            if len(packed) == 2:  # the first is that of the batch which the writer has
                writer.go.set()

    def ends(source: Source) -> list[Record]:
        stop.set()
        return []

    half = bytes(MOST_BYTES // 2)
    script = [
        lambda _: records(0),
        lambda _: records(1, value=half),
        lambda _: records(2, value=half),
        lambda _: records(3),
        ends,
    ]
    run(writer, stop, Source({P: 0}, script), projection=Packing())
    assert packed[1] == 2, "read on beyond the bound"
    assert [offsets for _, offsets in writer.batches][:2] == [[0], [1, 2]]


def test_offsets_without_a_record_move_the_position_alone_or_with_records() -> None:
    writer, stop = Writer(), threading.Event()
    writer.go.set()

    def marker(source: Source) -> list[Record]:
        source.empty = [EmptyRange(P, 0, 3)]
        return []

    def record_and_marker(source: Source) -> list[Record]:
        source.empty = [EmptyRange(P, 4, 6)]
        return records(3)

    def ends(source: Source) -> list[Record]:
        if writer.second.wait(0.001) or not more:
            stop.set()
        else:
            script.append(more.pop())
        return []

    more = [ends] * 5000
    script = [marker, lambda _: [], record_and_marker, ends]
    source = Source({P: 0}, script)
    run(writer, stop, source)
    assert writer.batches == [({P: 0}, []), ({P: 3}, [3])]
    assert source.begins == {P: 6}


def test_halves_of_a_batch_pass_its_empty_offsets_once_and_in_order() -> None:
    other = ("jobs.events", 1)
    empty = [EmptyRange(P, 0, 2), EmptyRange(P, 3, 5), EmptyRange(P, 6, 9), EmptyRange(other, 0, 4)]
    batch: Batch[None] = Batch(Plain(), records(2, 5), empty)  # pyright: ignore[reportArgumentType]
    batch.seal({P: 0, other: 0})
    first, second = batch.halves()
    assert first.starts == {P: 0, other: 0} and second.starts == {P: 5}
    assert {p: end for p, (end, _) in first.ends().items()} == {P: 5, other: 4}
    assert {p: end for p, (end, _) in second.ends().items()} == {P: 9}
    assert sorted([*first.empty, *second.empty]) == sorted(empty)
    assert [half.without({P}).moves for half in (first, second)] == [True, False]
