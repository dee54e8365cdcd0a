"""Keyset lists over tables and views: a page, where the next one begins, and a count that is exact up to 10,000.

Which lists an index serves, and how far the others are scanned, is planned in domain/list_plans.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.list_statements import (
    COUNT_TO,
    Count,
    Listing,
    ListQuery,
    Row,
    Statement,
    cursor_after,
    found_by_index,
    list_statements_of,
    rows_of,
)
from job_tracker.domain.list_plans import SCAN_ROWS, ListPlan
from job_tracker.domain.search_text import has_trigram

MAX_PAGE = 200
MAX_PAGE_BYTES = 4 * 2**20  # of JSON; a page has one row at least, however large it is
# Where statistics predict few rows, the planner prefers to read all of them and sort; there may be millions.
IN_INDEX_ORDER = "SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true)"
IN_ANY_ORDER = IN_INDEX_ORDER.replace("'off'", "'on'")

# Of a pattern that is not known when a statement is planned, the planner expects too little of the trigrams.
BY_TRIGRAMS = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), "
    "set_config('enable_indexonlyscan', 'off', true)"
)
AS_USUAL = BY_TRIGRAMS.replace("'off'", "'on'")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of a page, what is counted, the row after which the next page begins, and whether rows are left out."""

    rows: list[Row]
    counted: Count
    last: Row | None
    partial: bool


async def exists(connection: AsyncConnection, source: tuple[str, str]) -> bool:
    """Whether the table or view exists: a service creates its own when it first starts."""
    row = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [".".join(source)])).fetchone()
    return bool(row and row["there"])


async def has_column(connection: AsyncConnection, source: tuple[str, str], column: str) -> bool:
    """Whether the table or view has the column: a service adds it when it is upgraded."""
    found = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s) AS there"
    row = await (await connection.execute(found, [".".join(source), column])).fetchone()
    return bool(row and row["there"])


async def page(
    connection: AsyncConnection,
    listing: Listing,
    query: ListQuery,
    show: Callable[[Row], Row],
    name: str,
    total: Statement | None = None,
) -> Row:
    """One page under `name`, the cursor of the next one, the total, and how far a bounded scan has come.

    `total` returns the total in a column `rows`, where there is something cheaper than counting.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    if query.is_empty:
        return {name: [], "next": None, **count_shown(Count(0, whole=True)), "partial": False, "scanned_to": None}
    there, by_index = await _search_parts(connection, listing, query) if query.forms else (False, False)
    found = await _by_trigrams(connection, listing, query) if by_index else None
    if found is None or found.counted.rows > COUNT_TO:
        known = found.counted if found else None
        searched = replace(listing, folded="search") if there else listing
        found = await _in_order(connection, searched, query, total, known)
    rows = await _whole(connection, listing, found.rows) if there else found.rows
    shown = within_bytes([show(row) for row in rows])
    # A page that its bytes end is complete as far as it goes.
    cut = len(shown) < len(rows)
    last, partial = (rows[len(shown) - 1], False) if cut else (found.last, found.partial)
    return {
        name: shown,
        "next": cursor_after(listing, query, last, found.counted) if last else None,
        **count_shown(found.counted),
        "partial": partial,
        "scanned_to": {column: last[column] for column in listing.key} if partial and last else None,
    }


def within_bytes(rows: list[Row]) -> list[Row]:
    """The first of `rows` that fit into a page; the first one always does."""
    size = 0
    for count, row in enumerate(rows):
        size += len(_encoder.encode(row))
        if size > MAX_PAGE_BYTES and count:
            return rows[:count]
    return rows


async def _search_parts(connection: AsyncConnection, listing: Listing, query: ListQuery) -> tuple[bool, bool]:
    """Whether the list's search view exists, and whether its index serves the query."""
    if listing.search_view is None or listing.search_index is None:
        return False, False
    there = await exists(connection, listing.search_view)
    indexed = there and all(map(has_trigram, query.forms)) and await exists(connection, listing.search_index)
    return there, indexed


async def _by_trigrams(connection: AsyncConnection, listing: Listing, query: ListQuery) -> _Found | None:
    """None where the page before has counted too many."""
    question, counted = found_by_index(listing, query)
    if counted is not None and counted.rows > COUNT_TO:
        return None
    await connection.execute(BY_TRIGRAMS, prepare=True)
    rows = await (await connection.execute(question.text, question.values, prepare=True)).fetchall()
    await connection.execute(AS_USUAL, prepare=True)
    counted = Count(rows[0]["found"], whole=True)
    keys = [row for row in rows if row[listing.key[0]] is not None]
    return _Found(keys[: query.limit], counted, keys[query.limit - 1] if len(keys) > query.limit else None, False)


async def _whole(connection: AsyncConnection, listing: Listing, keys: Sequence[Row]) -> list[Row]:
    question = rows_of(listing, keys)
    return await (await connection.execute(question.text, question.values, prepare=True)).fetchall() if keys else []


async def _in_order(
    connection: AsyncConnection, listing: Listing, query: ListQuery, total: Statement | None, known: Count | None
) -> _Found:
    """From an index in the list's order. `known`: what the index of trigrams has counted."""
    asked = list_statements_of(listing, query)
    if not asked.plan.served.few:
        await connection.execute(IN_INDEX_ORDER, prepare=True)
    reading = await connection.execute(asked.rows.text, asked.rows.values, prepare=True)
    before = asked.counted or known
    # A scan that comes to its end, or to its bound, before it has filled a page has counted as well.
    total = total or (None if before or asked.plan.bounded else asked.total)
    counting = await connection.execute(total.text, total.values, prepare=True) if total else None
    shown, last = _cut(asked.plan, await reading.fetchall(), query.limit)
    counted = before or Count(len(shown), last is None)
    if total is None and before is None and len(shown) == query.limit:
        counting = await connection.execute(asked.total.text, asked.total.values, prepare=True)
    if counting is not None:
        (row,) = await counting.fetchall()
        counted = Count(row["rows"], row["whole"])
    # Where the index has counted too many, a full page still leaves out none that lies before its end.
    many = before is not None and before.rows > COUNT_TO and listing.folded is not None
    whole = many and len(shown) == query.limit
    return _Found(shown, counted, last, asked.plan.bounded and last is not None and not whole)


async def scan(
    connection: AsyncConnection, listing: Listing, query: ListQuery
) -> tuple[list[Row], Row | None, Count | None]:
    """Up to SCAN_ROWS rows of a list, whatever the limit, to be judged by who asks.

    Also the row after which the next scan begins, if any, and the count that the cursor carried.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    asked = list_statements_of(listing, replace(query, limit=SCAN_ROWS))
    if not asked.plan.served.few:
        await connection.execute(IN_INDEX_ORDER, prepare=True)
    reading = await connection.execute(asked.rows.text, asked.rows.values, prepare=True)
    rows, last = _cut(asked.plan, await reading.fetchall(), SCAN_ROWS)
    await connection.execute(IN_ANY_ORDER, prepare=True)
    return rows, last, asked.counted


def _cut(plan: ListPlan, rows: list[Row], limit: int) -> tuple[list[Row], Row | None]:
    """The rows to show, and the one after which the next page begins; None when all rows were scanned."""
    if not plan.bounded:
        return rows[:limit], rows[limit - 1] if len(rows) > limit else None
    return cut_scan(rows, limit, SCAN_ROWS)


def cut_scan(rows: list[Row], limit: int, scanned: int) -> tuple[list[Row], Row | None]:
    """The same of a bounded scan of `scanned` rows, whose rows say whether they fit and how many were looked at."""
    judged = [(row, row.pop("fits"), row.pop("looked")) for row in rows]
    fitting = [row for row, fits, looked in judged if fits and looked <= scanned]
    if len(fitting) > limit:
        return fitting[:limit], fitting[limit - 1]
    # One beyond the bound is there only behind the one at it.
    return fitting, rows[-2] if judged and judged[-1][2] > scanned else None


def count_shown(counted: Count) -> Row:
    """A count as lists show it: exact up to COUNT_TO."""
    exact = counted.whole and counted.rows <= COUNT_TO
    shown = min(counted.rows, COUNT_TO)
    return {"total": shown, "total_exact": exact, "total_text": f"{shown:,}" if exact else f"{shown:,}+"}
