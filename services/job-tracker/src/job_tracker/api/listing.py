"""Keyset lists over tables and views: filters, search, a cursor, and a count that is exact up to 10,000."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.problems import Problem
from job_tracker.domain.cursors import decode_cursor, encode_cursor

Row = dict[str, Any]
COUNT_TO = 10_000
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that can be paged. `key` orders it and is unique; all its columns go the same way.

    `search` names text columns; `filters` columns that a caller may fix; all names are constants of this package.
    """

    source: tuple[str, str]
    key: tuple[str, ...]
    key_types: tuple[type, ...]
    filters: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    newest_first: bool = False


@dataclass(slots=True)
class Wanted:
    """What a caller asks of a list. `ranges` maps a column to (from inclusive, to exclusive)."""

    filters: dict[str, list[str]] = field(default_factory=dict)
    text: str | None = None
    ranges: dict[str, tuple[datetime | None, datetime | None]] = field(default_factory=dict)
    cursor: str | None = None
    limit: int = 50


async def exists(connection: AsyncConnection, source: tuple[str, str]) -> bool:
    """Whether the table or view is there: another service's appears when that service first starts."""
    row = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [".".join(source)])).fetchone()
    return bool(row and row["there"])


async def page(
    connection: AsyncConnection, listing: Listing, wanted: Wanted, show: Callable[[Row], Row], name: str
) -> Row:
    """One page under `name`, the cursor of the next one, and the total.

    Raises:
        Problem: the cursor is none of this list.
    """
    conditions, values = _conditions(listing, wanted)
    where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
    source = sql.Identifier(*listing.source)
    count = sql.SQL("SELECT count(*) AS n FROM (SELECT 1 FROM {}{} LIMIT {}) AS counted").format(
        source, where, sql.Literal(COUNT_TO + 1)
    )
    found = await (await connection.execute(count, values)).fetchone()
    total: int = found["n"] if found else 0

    if wanted.cursor is not None:
        after = _after(listing, wanted.cursor)
        comparison = sql.SQL("({}) {} ({})").format(
            _columns(listing.key), sql.SQL("<" if listing.newest_first else ">"), sql.SQL(", ").join(map(_value, after))
        )
        where = sql.SQL("{} AND {}").format(where, comparison) if conditions else sql.SQL(" WHERE ") + comparison
        values = [*values, *after]
    direction = sql.SQL(" DESC" if listing.newest_first else "")
    order = sql.SQL(", ").join(sql.Identifier(column) + direction for column in listing.key)
    query = sql.SQL("SELECT * FROM {}{} ORDER BY {} LIMIT {}").format(
        source, where, order, sql.Literal(wanted.limit + 1)
    )
    rows = await (await connection.execute(query, values)).fetchall()
    shown = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    return {
        name: [show(row) for row in shown],
        "next": encode_cursor([shown[-1][column] for column in listing.key]) if more else None,
        "total": min(total, COUNT_TO),
        "total_exact": total <= COUNT_TO,
        "total_text": f"{total:,}" if total <= COUNT_TO else f"{COUNT_TO:,}+",
    }


def _conditions(listing: Listing, wanted: Wanted) -> tuple[list[sql.Composable], list[object]]:
    conditions: list[sql.Composable] = []
    values: list[object] = []
    for column, allowed in wanted.filters.items():
        if column not in listing.filters:
            raise Problem(422, f"this list cannot be filtered by {column}", [(column, "is no filter here")])
        conditions.append(sql.SQL("{} = ANY(%s)").format(sql.Identifier(column)))
        values.append(allowed)
    for column, (since, until) in wanted.ranges.items():
        for bound, sign in ((since, sql.SQL(">=")), (until, sql.SQL("<"))):
            if bound is not None:
                conditions.append(sql.SQL("{} {} %s").format(sql.Identifier(column), sign))
                values.append(bound)
    if wanted.text:
        text = sql.SQL("concat_ws(' ', {}) ILIKE %s").format(_columns(listing.search))
        conditions.append(text)
        escaped = wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values.append(f"%{escaped}%")
    return conditions, values


def _after(listing: Listing, cursor: str) -> list[object]:
    try:
        return decode_cursor(cursor, listing.key_types)
    except ValueError as error:
        raise Problem(422, str(error), [("cursor", "was not given by this list")]) from None


def _columns(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _value(_: object) -> sql.SQL:
    return sql.SQL("%s")
