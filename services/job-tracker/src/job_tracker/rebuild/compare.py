"""Differences between the live tables and a shadow: by a hash per range of job ids, then row by row."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import dict_row

from job_tracker.rebuild.projection import Sample
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "compare.sql")
_RANGE = 5000  # jobs hashed at once, and the most rows of each side in memory
_FETCH = 1000  # rows fetched at once of the smaller tables
_PLACE_KEY = ("topic", "partition", "offset")
_DAY_KEY = ("topic", "partition", "day")
_ROLLUP_KEY = ("tenant", "account", "job_type", "status", "day")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not the same: `before` in the live table, `after` by `source`; None where there is none."""

    table: str
    key: tuple[Any, ...]
    before: Row | None
    after: Row | None
    source: str = "the log"

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """What differs, before and after, in the order of the columns; of a row that one side lacks: every value."""
        before, after = self.before or {}, self.after or {}
        pairs = {name: (before.get(name), after.get(name)) for name in before | after}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def count_jobs(connection: Connection) -> int:
    """How many rows the job table has that `connection` finds."""
    (jobs,) = connection.execute(_SQL["count"]).fetchone() or (0,)
    return int(str(jobs))


def job_differences(
    live: Connection, shadow: Connection, sample: Sample | None, done: Callable[[int], None]
) -> Iterator[Difference]:
    """Jobs that differ in any column. `done` is called with the number of jobs of each range.

    Both connections must be in a transaction that sees one state throughout.
    """
    chosen = {"seed": sample.seed if sample else None, "threshold": sample.threshold if sample else None}
    after = ""
    while True:
        ends = _both(live, shadow, "range_end", chosen | {"after": after, "most": _RANGE})
        # A side without another full range does not limit this one.
        upto = min((str(last) for [(last, count)] in ends if count == _RANGE), default=None)
        bounds = chosen | {"after": after, "upto": upto}
        [(kept, kept_hash)], [(_, folded_hash)] = _both(live, shadow, "range_hash", bounds)
        if kept_hash != folded_hash:
            yield from _differences("job", ("job_id",), *_sides(live, shadow, "range_rows", bounds))
        done(int(str(kept)))
        if upto is None:
            return
        after = upto


def rollup_differences(live: Connection, shadow: Connection) -> Iterator[Difference]:
    return _differences("rollup", _ROLLUP_KEY, *_sides(live, shadow, "rollups", {}))


def history_differences(live: Connection, shadow: Connection, since: datetime, *, rows: bool) -> Iterator[Difference]:
    """Partitions and days whose history has another number of events; with `rows` every row that differs.

    `since`: where the live history begins.
    """
    days = _both(live, shadow, "history_days", {"since": since, "hashed": rows})
    sides = (iter([Row(zip((*_DAY_KEY, "events", "hash"), day, strict=True)) for day in side]) for side in days)
    for day in _differences("event", _DAY_KEY, *sides):
        if rows and day.before is not None and day.after is not None:
            place = dict(zip(_DAY_KEY, day.key, strict=True)) | {"since": since}
            yield from _differences("event", _PLACE_KEY, *_sides(live, shadow, "history_rows", place))
        else:
            yield day


def dead_letter_differences(
    live: Connection, shadow: Connection, since: datetime, topics: Sequence[str]
) -> Iterator[Difference]:
    parameters = {"since": since, "topics": list(topics)}
    return _differences("dead_letter", _PLACE_KEY, *_sides(live, shadow, "dead_letters", parameters))


def miscounted(live: Connection) -> Iterator[Difference]:
    """Live rollups that are not the sums of the live jobs; all that a sample shows of rollups."""
    sides = _rows(live, "rollups", {}), _rows(live, "counted_rollups", {})
    return _differences("rollup", _ROLLUP_KEY, *sides, source="the live jobs")


def _differences(
    table: str, key: tuple[str, ...], before: Iterator[Row], after: Iterator[Row], *, source: str = "the log"
) -> Iterator[Difference]:
    """Go through two sides that are sorted by `key`, side by side."""
    left, right = next(before, None), next(after, None)
    while left is not None or right is not None:
        keys = [tuple(row[name] for name in key) if row is not None else None for row in (left, right)]
        least = min(found for found in keys if found is not None)
        old, new = (left if keys[0] == least else None), (right if keys[1] == least else None)
        if old != new:
            yield Difference(table, least, old, new, source)
        left = next(before, None) if old is not None else left
        right = next(after, None) if new is not None else right


def _both(
    live: Connection, shadow: Connection, query: LiteralString, parameters: dict[str, Any]
) -> list[list[tuple[Any, ...]]]:
    """The rows of each side, queried at the same time."""

    def ask(side: Connection) -> list[tuple[Any, ...]]:
        return side.execute(_SQL[query], parameters).fetchall()

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(ask, (live, shadow)))


def _sides(
    live: Connection, shadow: Connection, query: LiteralString, parameters: dict[str, Any]
) -> tuple[Iterator[Row], Iterator[Row]]:
    return _rows(live, query, parameters), _rows(shadow, query, parameters)


def _rows(connection: Connection, query: LiteralString, parameters: dict[str, Any]) -> Iterator[Row]:
    with connection.cursor(f"compare_{query}", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCH
        cursor.execute(_SQL[query], parameters)
        yield from cursor
