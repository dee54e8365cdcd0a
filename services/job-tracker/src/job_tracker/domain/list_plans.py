"""Which lists an index serves, and how any other list is read: planned without I/O.

A list is served when an index holds its rows in its order: then a page costs the same at any size of the table.
Any other list is a bounded scan: it looks through at most SCAN_ROWS rows of the narrowest served list around it,
in order, and says how far it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from job_events.fold import STATUSES

SCAN_ROWS = 10_000  # rows that one answer looks through at most
MAX_RANGES = 36  # ranges of an index that one answer merges at most


@dataclass(frozen=True, slots=True)
class IndexedFilter:
    """Lists that fix exactly `filters`, in the order of their key, read from `index`.

    `each` names further leading columns of the index with all values they can have: such a list is the merge of
    one range of the index a value. `few`: the index finds the few rows there can be, and they are sorted when read.
    """

    filters: tuple[str, ...]
    index: str
    each: tuple[tuple[str, tuple[str, ...]], ...] = ()
    few: bool = False


@dataclass(frozen=True, slots=True)
class ListPlan:
    """How to read a list: the ranges (column -> value) of one index, merged; `rest` is left to a bounded scan."""

    served: IndexedFilter
    ranges: tuple[Mapping[str, str], ...]
    rest: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    searched: bool = False

    @property
    def bounded(self) -> bool:
        """Whether rows are read that the list does not show."""
        return self.searched or bool(self.rest)


_EACH_STATUS = (("status", STATUSES),)

# Every list of jobs is in the order (created_at, job_id), newest first, and may be cut by `from` and `to`.
# From the widest to the narrowest: of the entries that fit a query, a bounded scan takes the last.
JOB_LISTS = (
    IndexedFilter((), "job_newest"),
    IndexedFilter(("tenant",), "job_by_status", _EACH_STATUS),
    IndexedFilter(("tenant", "status"), "job_by_status"),
    IndexedFilter(("tenant", "job_type"), "job_by_type", _EACH_STATUS),
    IndexedFilter(("tenant", "job_type", "status"), "job_by_type"),
    IndexedFilter(("tenant", "account"), "job_by_account", _EACH_STATUS),
    IndexedFilter(("tenant", "account", "status"), "job_by_account"),
    IndexedFilter(("chain",), "job_by_chain"),
    IndexedFilter(("parent",), "job_by_parent"),
    IndexedFilter(("retry_of",), "job_by_retry_of"),
)


def plan_list(lists: Sequence[IndexedFilter], filters: Mapping[str, Sequence[str]], searched: bool = False) -> ListPlan:
    """The plan for a list that fixes `filters` (each to one or more values), and whether text is searched besides.

    `lists` has an entry without filters, which fits any query.
    """
    given = {column: tuple(dict.fromkeys(values)) for column, values in filters.items()}
    fitting = [one for one in lists if set(one.filters) <= set(given) and _count(one, given) <= MAX_RANGES]
    served = fitting[-1]
    return ListPlan(
        served=served,
        ranges=_ranges(served, given),
        rest={column: values for column, values in given.items() if column not in served.filters},
        searched=searched,
    )


def _choices(served: IndexedFilter, given: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {column: given[column] for column in served.filters} | dict(served.each)


def _count(served: IndexedFilter, given: Mapping[str, tuple[str, ...]]) -> int:
    count = 1
    for values in _choices(served, given).values():
        count *= len(values)
    return count


def _ranges(served: IndexedFilter, given: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, str], ...]:
    choices = _choices(served, given)
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))
