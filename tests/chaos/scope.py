"""Minimums that a phase must reach: without any effect a verdict proves nothing."""

from collections import Counter
from collections.abc import Iterable

from tests.chaos.checker import Tables
from tests.chaos.oracle import TRACKER, LogRecord

ACKNOWLEDGED, FINISHED, ITEMS = "acknowledged records", "finished jobs", "items"
POISON, LARGE, TOMBSTONES = "records that nobody can use", "values of a megabyte", "records without a value"
DELETED, TWICE = "deleted jobs", "records whose value had come before"

EACH_PHASE = {ACKNOWLEDGED: 100, FINISHED: 5, ITEMS: 5}
WHOLE_RUN = {POISON: 100, LARGE: 3, TOMBSTONES: 10, DELETED: 10, TWICE: 100}


def scope(acknowledged: int, log: Iterable[LogRecord], tables: Tables) -> Counter[str]:
    """What a phase has seen of each of these."""
    values = [record.value for record in log]
    states = Counter(row["state"] for row in tables.jobs.values())
    return Counter(
        {
            ACKNOWLEDGED: acknowledged,
            FINISHED: states["finished"],
            ITEMS: len(tables.items),
            POISON: sum(key.consumer == TRACKER for key in tables.letters_by_key),
            LARGE: sum(len(value or b"") >= 1_000_000 for value in values),
            TOMBSTONES: values.count(None),
            DELETED: states["deleted"],
            TWICE: len(values) - len(set(values)),
        }
    )


def lacking(seen: Counter[str], wanted: dict[str, int]) -> list[str]:
    """The minimums that were not reached, as violations."""
    return [f"{seen[what]} {what} are too few, at least {n} are wanted" for what, n in wanted.items() if seen[what] < n]
