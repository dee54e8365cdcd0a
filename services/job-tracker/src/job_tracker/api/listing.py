"""Keyset lists over tables and views: filters, search, a cursor, and a count that is exact up to 10,000.

Which lists an index serves, and how far the others are scanned, is planned in domain/list_plans.py.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.problems import Problem
from job_tracker.domain.cursors import decode_cursor, encode_cursor
from job_tracker.domain.list_plans import SCAN_ROWS, ListPlan, Served, plan_list

Row = dict[str, Any]
Values = dict[str, object]
COUNT_TO = 10_000
MAX_PAGE = 200
# Where statistics promise few rows, the planner would rather read all of them and sort; they may be millions.
_IN_INDEX_ORDER = "SELECT set_config('enable_sort', 'off', true)"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that can be paged. `key` orders it and is unique; all its columns go the same way.

    `served` says which filters an index serves; `filters` are all columns that a caller may fix, `search` names text
    columns, `columns` what is read of a row (all, when empty). All names are constants of this package.
    """

    source: tuple[str, str]
    key: tuple[str, ...]
    key_types: tuple[type, ...]
    served: tuple[Served, ...]
    filters: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    newest_first: bool = False


@dataclass(slots=True)
class Wanted:
    """What a caller asks of a list. `ranges` maps a column to (from inclusive, to exclusive)."""

    filters: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    text: str | None = None
    ranges: dict[str, tuple[datetime | None, datetime | None]] = field(
        default_factory=dict[str, tuple[datetime | None, datetime | None]]
    )
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Question:
    """One statement with its values. Its text depends on the shape of the list alone, so it is planned once."""

    text: sql.SQL | sql.Composed
    values: Values


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked for one page: its rows, and how many there are in all."""

    plan: ListPlan
    rows: Question
    total: Question


async def exists(connection: AsyncConnection, source: tuple[str, str]) -> bool:
    """Whether the table or view is there: another service's appears when that service first starts."""
    row = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [".".join(source)])).fetchone()
    return bool(row and row["there"])


async def page(
    connection: AsyncConnection,
    listing: Listing,
    wanted: Wanted,
    show: Callable[[Row], Row],
    name: str,
    tally: Question | None = None,
) -> Row:
    """One page under `name`, the cursor of the next one, the total, and how far a bounded scan has come.

    `tally` gives the total in a column `n` where something cheaper than counting knows it.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    asked = questions(listing, wanted)
    total = tally or asked.total
    # A scan that comes to its end, or to its bound, before it has filled a page has counted as well.
    counts_itself = asked.plan.bounded and tally is None and wanted.cursor is None
    async with connection.pipeline():
        if not asked.plan.served.few:
            await connection.execute(_IN_INDEX_ORDER, prepare=True)
        reading = await connection.execute(asked.rows.text, asked.rows.values, prepare=True)
        counting = None if counts_itself else await connection.execute(total.text, total.values, prepare=True)
        shown, last = _cut(asked.plan, await reading.fetchall(), wanted.limit)
        if counting is None and len(shown) == wanted.limit:
            counting = await connection.execute(total.text, total.values, prepare=True)
        (counted,) = await counting.fetchall() if counting else [{"n": len(shown), "whole": last is None}]
    partial = asked.plan.bounded and last is not None
    end = {column: last[column] for column in listing.key} if last else None
    return {
        name: [show(row) for row in shown],
        "next": encode_cursor(list(end.values())) if end else None,
        **_total(int(counted["n"]), bool(counted.get("whole", True))),
        "partial": partial,
        "scanned_to": end if partial else None,
    }


def questions(listing: Listing, wanted: Wanted) -> Questions:
    """The statements for a page.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    for column in wanted.filters:
        if column not in listing.filters:
            raise Problem(422, f"this list cannot be filtered by {column}", [(column, "is no filter here")])
    after = None if wanted.cursor is None else _after(listing, wanted.cursor)
    plan = plan_list(listing.served, wanted.filters, bool(wanted.text))
    if plan.bounded:
        return Questions(plan, _scan(listing, plan, wanted, after), _scan_total(listing, plan, wanted))
    return Questions(plan, _page(listing, plan, wanted, after), _total_to(listing, plan, wanted))


def _cut(plan: ListPlan, rows: list[Row], limit: int) -> tuple[list[Row], Row | None]:
    """The rows to show, and the one after which the next page begins: none when all rows have been looked at."""
    fitting = [row for row in rows if row.pop("fits")] if plan.bounded else rows
    if len(fitting) > limit:
        return fitting[:limit], fitting[limit - 1]
    if plan.bounded and rows and rows[-1]["looked"] == SCAN_ROWS:
        return fitting, rows[-1]
    return fitting, None


def _total(total: int, exact: bool) -> Row:
    exact = exact and total <= COUNT_TO
    shown = min(total, COUNT_TO)
    return {"total": shown, "total_exact": exact, "total_text": f"{shown:,}" if exact else f"{shown:,}+"}


def _page(listing: Listing, plan: ListPlan, wanted: Wanted, after: Sequence[object] | None) -> Question:
    values: Values = {}
    return Question(_merged(listing, plan, wanted, after, values, wanted.limit + 1), values)


def _total_to(listing: Listing, plan: ListPlan, wanted: Wanted) -> Question:
    values: Values = {}
    ranges = sql.SQL(" UNION ALL ").join(_ranges(listing, plan, wanted, None, values, sql.SQL("1")))
    text = sql.SQL("SELECT count(*) AS n FROM ({} LIMIT {}) AS counted").format(ranges, sql.Literal(COUNT_TO + 1))
    return Question(text, values)


def _scan(listing: Listing, plan: ListPlan, wanted: Wanted, after: Sequence[object] | None) -> Question:
    """Rows that fit, as the scan meets them; and its last row, where the next scan goes on."""
    values: Values = {}
    merged = _merged(listing, plan, wanted, after, values, SCAN_ROWS)
    judged = sql.SQL("SELECT *, {} AS fits, row_number() OVER (ORDER BY {}) AS looked FROM ({}) AS merged").format(
        _fits(listing, plan, wanted, values), _order(listing), merged
    )
    text = sql.SQL("SELECT * FROM ({}) AS judged WHERE fits OR looked = {} ORDER BY {} LIMIT {}").format(
        judged, sql.Literal(SCAN_ROWS), _order(listing), sql.Literal(wanted.limit + 1)
    )
    return Question(text, values)


def _scan_total(listing: Listing, plan: ListPlan, wanted: Wanted) -> Question:
    """How many fit among the first rows of the list, whatever page is asked for."""
    values: Values = {}
    merged = _merged(listing, plan, wanted, None, values, SCAN_ROWS)
    text = sql.SQL("SELECT count(*) FILTER (WHERE {}) AS n, count(*) < {} AS whole FROM ({}) AS merged").format(
        _fits(listing, plan, wanted, values), sql.Literal(SCAN_ROWS), merged
    )
    return Question(text, values)


def _merged(
    listing: Listing, plan: ListPlan, wanted: Wanted, after: Sequence[object] | None, values: Values, most: int
) -> sql.Composed:
    """The first `most` rows of the plan's ranges in the list's order.

    Each range is ordered and limited by itself, so that PostgreSQL reads it from the index's end and merges row by row.
    """
    columns = _columns(listing.columns) if listing.columns else sql.SQL("*")
    ends = sql.SQL(" ORDER BY {} LIMIT {}").format(_order(listing), sql.Literal(most))
    ranges = [one + ends for one in _ranges(listing, plan, wanted, after, values, columns)]
    if len(ranges) == 1:
        return ranges[0]
    return sql.SQL("SELECT * FROM (({})) AS ranges").format(sql.SQL(") UNION ALL (").join(ranges)) + ends


def _ranges(
    listing: Listing,
    plan: ListPlan,
    wanted: Wanted,
    after: Sequence[object] | None,
    values: Values,
    columns: sql.Composable,
) -> list[sql.Composed]:
    source = sql.Identifier(*listing.source)
    common = [*_between(wanted, values), *_beyond(listing, after, values)]
    names: dict[tuple[str, str], str] = {}

    def one(fixed: Iterable[tuple[str, str]]) -> sql.Composed:
        conditions: list[sql.Composable] = []
        for column, value in fixed:
            name = names.setdefault((column, value), f"{column}_{len(names)}")
            values[name] = value
            conditions.append(sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(name)))
        conditions += common
        where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
        return sql.SQL("SELECT {} FROM {}{}").format(columns, source, where)

    return [one(fixed.items()) for fixed in plan.ranges]


def _between(wanted: Wanted, values: Values) -> list[sql.Composable]:
    conditions: list[sql.Composable] = []
    for column, (since, until) in wanted.ranges.items():
        for name, bound, sign in (("since", since, sql.SQL(">=")), ("until", until, sql.SQL("<"))):
            if bound is not None:
                values[f"{column}_{name}"] = bound
                placeholder = sql.Placeholder(f"{column}_{name}")
                conditions.append(sql.SQL("{} {} {}").format(sql.Identifier(column), sign, placeholder))
    return conditions


def _beyond(listing: Listing, after: Sequence[object] | None, values: Values) -> list[sql.Composable]:
    if after is None:
        return []
    names = [f"after_{column}" for column in listing.key]
    values.update(zip(names, after, strict=True))
    sign = sql.SQL("<" if listing.newest_first else ">")
    placeholders = sql.SQL(", ").join(map(sql.Placeholder, names))
    return [sql.SQL("({}) {} ({})").format(_columns(listing.key), sign, placeholders)]


def _fits(listing: Listing, plan: ListPlan, wanted: Wanted, values: Values) -> sql.Composed:
    """What no index decides."""
    conditions: list[sql.Composable] = []
    for column, allowed in plan.rest.items():
        values[f"rest_{column}"] = list(allowed)
        conditions.append(sql.SQL("{} = ANY({})").format(sql.Identifier(column), sql.Placeholder(f"rest_{column}")))
    if wanted.text:
        escaped = wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["text"] = f"%{escaped}%"
        conditions.append(sql.SQL("concat_ws(' ', {}) ILIKE %(text)s").format(_columns(listing.search)))
    return sql.SQL("({})").format(sql.SQL(" AND ").join(conditions))


def _order(listing: Listing) -> sql.Composed:
    direction = sql.SQL(" DESC" if listing.newest_first else "")
    return sql.SQL(", ").join([sql.Identifier(column) + direction for column in listing.key])


def _after(listing: Listing, cursor: str) -> list[object]:
    try:
        return decode_cursor(cursor, listing.key_types)
    except ValueError as error:
        raise Problem(422, str(error), [("cursor", "was not given by this list")]) from None


def _columns(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
