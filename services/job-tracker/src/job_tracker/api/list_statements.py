"""The statements of keyset lists, made from a plan of domain/list_plans.py: a page, a bounded scan, a count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec

from job_tracker.domain.cursors import decode_cursor, encode_cursor, list_mark
from job_tracker.domain.list_plans import SCAN_ROWS, IndexedFilter, ListPlan, plan_list
from job_tracker.domain.search_text import like_pattern, search_forms
from job_tracker.errors import Problem

Row = dict[str, Any]
Values = dict[str, object]
Bounds = tuple[datetime | None, datetime | None]  # from inclusive, to exclusive; None is open
COUNT_TO = 10_000
_Rows = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that can be paged. `key` orders it and is unique; all its columns go the same way.

    `served` says which filters an index serves; `filters` are all columns that a caller may fix, `search` names text
    columns, `columns` what is read of a row (all, when empty), `only` is a condition on every row. All are constants of
    this package.

    `search_view` holds the key and, as `search`, the folded text of each row; `search_index` is its index of trigrams.
    `folded`: the list is read from that view, and this is the column.

    `visible`: the condition under which a row belongs to one of `scope_tenants`, where no filter `tenant` says so.
    """

    source: tuple[str, str]
    key: tuple[str, ...]
    key_types: tuple[type, ...]
    served: tuple[IndexedFilter, ...]
    filters: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    only: str | None = None
    newest_first: bool = False
    folded: str | None = None
    search_view: tuple[str, str] | None = None
    search_index: tuple[str, str] | None = None
    visible: str | None = None


@dataclass(slots=True)
class ListQuery:
    """What a caller asks of a list. `ranges` cuts by columns; `derived` holds filters that no statement applies.

    `tenants`: those whose rows the caller may see, in a list without a filter `tenant`; None: all.
    """

    filters: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    text: str | None = None
    ranges: dict[str, Bounds] = field(default_factory=dict[str, Bounds])
    cursor: str | None = None
    limit: int = 50
    derived: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    tenants: list[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no row can fit: a filter allows no value."""
        return [] in self.filters.values()

    @property
    def forms(self) -> tuple[str, ...]:
        """The folded texts to search for; empty: no search."""
        return search_forms(self.text)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with its values. Its text depends on the shape of the list alone, so it is planned once.

    It is made of constants of this package; what a caller gives travels as a value.
    """

    text: bytes
    values: Values


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of a list; `whole`: all of them were counted."""

    rows: int
    whole: bool


@dataclass(frozen=True, slots=True)
class ListStatements:
    """The statements of one page: its rows, and the total, unless the cursor carries it."""

    plan: ListPlan
    rows: Statement
    total: Statement
    counted: Count | None


def list_statements_of(listing: Listing, query: ListQuery) -> ListStatements:
    """The statements for a page.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    after, counted = _begin(listing, query)
    plan = plan_list(listing.served, query.filters, bool(query.forms))
    if plan.bounded:
        return ListStatements(plan, _scan(listing, plan, query, after), _scan_total(listing, plan, query), counted)
    return ListStatements(plan, _page(listing, plan, query, after), _total_to(listing, plan, query), counted)


def found_by_index(listing: Listing, query: ListQuery) -> tuple[Statement, Count | None]:
    """The keys of a page of what the index of trigrams finds, with `found`, the number of all; and the count known.

    Each row carries `found`, also the only one of an empty page. More than COUNT_TO are not all looked at: then the
    keys are any.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    assert listing.search_view is not None  # noqa: S101 - the caller has looked
    after, counted = _begin(listing, query)
    values: Values = {}
    conditions = _searched("search", query.forms, values)
    for column, allowed in query.filters.items():
        # For an array of unknown length the planner expects ten scans of the index.
        single = len(allowed) == 1
        values[f"rest_{column}"] = allowed[0] if single else allowed
        conditions.append(f'"{column}" = %(rest_{column})s' if single else f'"{column}" = ANY(%(rest_{column})s)')
    key, order = _columns(listing.key), ", ".join(f'"{column}"' for column in listing.key)
    beyond = " AND ".join(_beyond(listing, after, values)) or "true"
    return (
        _statement(
            f"WITH hits AS MATERIALIZED (SELECT {key} FROM {'.'.join(listing.search_view)} "
            f"WHERE {' AND '.join(conditions)} LIMIT {COUNT_TO + 1}) "
            f"SELECT counted.found, page.* FROM (SELECT count(*) AS found FROM hits) AS counted "
            f"LEFT JOIN LATERAL (SELECT * FROM hits WHERE {beyond} ORDER BY {order} LIMIT {query.limit + 1}) AS page "
            "ON true",
            values,
        ),
        counted,
    )


def rows_of(listing: Listing, keys: Sequence[Row]) -> Statement:
    """The rows with these keys, in the list's order."""
    names = ", ".join(f"%({column})s::text[]" for column in listing.key)
    same = " AND ".join(f'"{column}" = keys."{column}"' for column in listing.key)
    order = ", ".join(f'shown."{column}"' for column in listing.key)
    # One by one: the planner would read whole accounts and join them.
    return _statement(
        f"SELECT shown.* FROM unnest({names}) AS keys ({_columns(listing.key)}), "
        f"LATERAL (SELECT * FROM {'.'.join(listing.source)} WHERE {same} LIMIT 1) AS shown ORDER BY {order}",
        {column: [row[column] for row in keys] for column in listing.key},
    )


def cursor_after(listing: Listing, query: ListQuery, row: Row, counted: Count) -> str:
    """Where the page after `row` begins. The count goes along: a list is counted once, for its first page."""
    key = [row[column] for column in listing.key]
    return encode_cursor([*key, counted.rows, counted.whole], _mark(listing, query))


def _mark(listing: Listing, query: ListQuery) -> str:
    """The mark of a list: a cursor of another list would carry a wrong position and count."""
    filters = sorted((column, sorted(set(values))) for column, values in query.filters.items())
    ranges = sorted((column, ends) for column, ends in query.ranges.items() if ends != (None, None))
    return list_mark(
        listing.source,
        filters,
        query.forms or None,
        ranges,
        *([query.derived] if query.derived else []),
        *([] if query.tenants is None else [query.tenants]),
    )


def _page(listing: Listing, plan: ListPlan, query: ListQuery, after: Sequence[object] | None) -> Statement:
    values: Values = {}
    return _statement(_merged(listing, plan, query, after, values, query.limit + 1), values)


def total_around(
    listing: Listing, query: ListQuery, known: Statement, column: str, around: Sequence[Bounds]
) -> Statement:
    """The total of a list of which `known` counts all rows but those whose `column` is within `around`.

    These are counted only where they change the shown total. An index must serve the list.
    """
    plan, values = plan_list(listing.served, query.filters), dict(known.values)
    counts = [_count_to(listing, plan, replace(query, ranges={column: bounds}), values) for bounds in around]
    rest = " + ".join([f"({count})" for count in counts]) or "0"
    return _statement(
        f"SELECT known.rows + CASE WHEN known.rows > {COUNT_TO} THEN 0 ELSE {rest} END AS rows, true AS whole "
        f"FROM ({known.text.decode()}) AS known",
        values,
    )


def _total_to(listing: Listing, plan: ListPlan, query: ListQuery) -> Statement:
    values: Values = {}
    return _statement(
        f"SELECT counted.rows, true AS whole FROM ({_count_to(listing, plan, query, values)}) AS counted", values
    )


def _count_to(listing: Listing, plan: ListPlan, query: ListQuery, values: Values) -> str:
    # From the oldest: those pages have settled, so that the index alone tells which rows are visible.
    ends = f" ORDER BY {_order(listing, plan).replace(' DESC', '')} LIMIT {COUNT_TO + 1}"
    ranges = " UNION ALL ".join([f"({one}{ends})" for one in _ranges(listing, plan, query, None, values, "1")])
    return f"SELECT count(*) AS rows FROM (SELECT 1 FROM ({ranges}) AS ranges LIMIT {COUNT_TO + 1}) AS first"


def _scan(listing: Listing, plan: ListPlan, query: ListQuery, after: Sequence[object] | None) -> Statement:
    """Rows that fit, as the scan meets them; its last row, where the next scan goes on; and one beyond, if any."""
    values: Values = {}
    merged = _merged(listing, plan, query, after, values, SCAN_ROWS + 1)
    fits, order = _fits(listing, plan, query, values), _order(listing, plan)
    judged = f"SELECT *, {fits} AS fits, row_number() OVER (ORDER BY {order}) AS looked FROM ({merged}) AS merged"
    return _statement(
        f"SELECT * FROM ({judged}) AS judged WHERE fits OR looked >= {SCAN_ROWS} ORDER BY {order} "
        f"LIMIT {query.limit + 2}",
        values,
    )


def _scan_total(listing: Listing, plan: ListPlan, query: ListQuery) -> Statement:
    """How many fit among the first rows of the list, whatever page is asked for."""
    values: Values = {}
    merged = _merged(listing, plan, query, None, values, SCAN_ROWS + 1)
    fits = _fits(listing, plan, query, values)
    return _statement(
        f"SELECT count(*) FILTER (WHERE {fits}) AS rows, count(*) <= {SCAN_ROWS} AS whole FROM ({merged}) AS merged",
        values,
    )


def _statement(text: str, values: Values) -> Statement:
    return Statement(text.encode(), values)


def _merged(
    listing: Listing, plan: ListPlan, query: ListQuery, after: Sequence[object] | None, values: Values, most: int
) -> str:
    """The first `most` rows of the plan's ranges in the list's order.

    Each range is ordered and limited by itself, so that PostgreSQL reads it from the index's end and merges row by row.
    """
    columns = _columns(listing.columns) if listing.columns else "*"
    ends = f" ORDER BY {_order(listing, plan)} LIMIT {most}"
    if len(plan.ranges) == 1:
        return _ranges(listing, plan, query, after, values, columns)[0] + ends
    ranges = [f"({one}{ends})" for one in _ranges(listing, plan, query, after, values, "*")]
    return f"SELECT {columns} FROM ({' UNION ALL '.join(ranges)}) AS ranges{ends}"


def _ranges(
    listing: Listing, plan: ListPlan, query: ListQuery, after: Sequence[object] | None, values: Values, columns: str
) -> list[str]:
    shown = [listing.only] if listing.only else []
    common = [*shown, *_visible(listing, query, values), *_between(query, values), *_beyond(listing, after, values)]
    names: dict[tuple[str, str], str] = {}

    def one(fixed: Iterable[tuple[str, str]]) -> str:
        conditions: list[str] = []
        for column, value in fixed:
            name = names.setdefault((column, value), f"{column}_{len(names)}")
            values[name] = value
            conditions.append(f'"{column}" = %({name})s')
        conditions += common
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        source = listing.search_view if listing.folded and listing.search_view else listing.source
        return f"SELECT {columns} FROM {'.'.join(source)}{where}"

    return [one(fixed.items()) for fixed in plan.ranges]


def _visible(listing: Listing, query: ListQuery, values: Values) -> list[str]:
    if query.tenants is None:
        return []
    assert listing.visible is not None  # noqa: S101 - without it the list would show rows of all tenants
    values["scope_tenants"] = query.tenants
    return [listing.visible]


def _between(query: ListQuery, values: Values) -> list[str]:
    conditions: list[str] = []
    for column, (since, until) in query.ranges.items():
        for end, bound, sign in (("since", since, ">="), ("until", until, "<")):
            if bound is not None:
                name = f"{column}_{end}_{len(values)}"  # a statement may hold several ranges of a column
                values[name] = bound
                conditions.append(f'"{column}" {sign} %({name})s')
    return conditions


def _beyond(listing: Listing, after: Sequence[object] | None, values: Values) -> list[str]:
    if after is None:
        return []
    names = [f"after_{column}" for column in listing.key]
    values.update(zip(names, after, strict=True))
    placeholders = ", ".join(f"%({name})s" for name in names)
    return [f"({_columns(listing.key)}) {'<' if listing.newest_first else '>'} ({placeholders})"]


def _fits(listing: Listing, plan: ListPlan, query: ListQuery, values: Values) -> str:
    """What no index decides."""
    conditions: list[str] = []
    for column, allowed in plan.rest.items():
        values[f"rest_{column}"] = list(allowed)
        conditions.append(f'"{column}" = ANY(%(rest_{column})s)')
    if query.forms:
        words = listing.folded or f"tracker.search_folded(concat_ws(' ', '', {_columns(listing.search)}, ''))"
        conditions += _searched(words, query.forms, values)
    return f"({' AND '.join(conditions)})"


def _searched(words: str, forms: Sequence[str], values: Values) -> list[str]:
    values |= {f"text_{number}": like_pattern(form) for number, form in enumerate(forms)}
    # Columns of several collations come together here; folded text needs none.
    likes = [f'{words} COLLATE "C" LIKE %(text_{number})s' for number in range(len(forms))]
    return [f"({' OR '.join(likes)})"]


def _begin(listing: Listing, query: ListQuery) -> tuple[list[object] | None, Count | None]:
    """Where the page begins, and the count that its cursor carries."""
    for column in query.filters:
        if column not in listing.filters:
            raise Problem(422, f"this list cannot be filtered by {column}", [(column, "is no filter here")])
    return (None, None) if query.cursor is None else _after(listing, query, query.cursor)


def _order(listing: Listing, plan: ListPlan) -> str:
    """The key without the columns that have one value here, which the planner would not know behind a sub-select."""
    fixed = plan.ranges[0] if len(plan.ranges) == 1 else {}
    columns = [column for column in listing.key if column not in fixed]
    return ", ".join(f'"{column}"' + (" DESC" if listing.newest_first else "") for column in columns)


def _after(listing: Listing, query: ListQuery, cursor: str) -> tuple[list[object], Count]:
    try:
        *after, rows, whole = decode_cursor(cursor, (*listing.key_types, _Rows, bool), _mark(listing, query))
    except ValueError as error:
        raise Problem(422, str(error), [("cursor", "was not given by this list")]) from None
    return after, Count(rows, whole)


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
