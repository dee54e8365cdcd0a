"""Keyset lists over tables and views: a page, where the next one begins, and a count that is exact up to 10,000.

Which lists an index serves, and how far the others are scanned, is planned in domain/list_plans.py.
"""

from collections.abc import Callable

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.list_statements import COUNT_TO, Count, Listing, Question, Row, Wanted, cursor_after, questions
from job_tracker.domain.list_plans import SCAN_ROWS, ListPlan

MAX_PAGE = 200
# Where statistics promise few rows, the planner would rather read all of them and sort; they may be millions.
IN_INDEX_ORDER = "SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true)"


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

    `tally` gives the total in a column `rows` where something cheaper than counting knows it.

    Raises:
        Problem: the cursor is none of this list, or a column is no filter.
    """
    asked = questions(listing, wanted)
    if not asked.plan.served.few:
        await connection.execute(IN_INDEX_ORDER, prepare=True)
    reading = await connection.execute(asked.rows.text, asked.rows.values, prepare=True)
    # A scan that comes to its end, or to its bound, before it has filled a page has counted as well.
    total = tally or (None if asked.counted or asked.plan.bounded else asked.total)
    counting = await connection.execute(total.text, total.values, prepare=True) if total else None
    shown, last = _cut(asked.plan, await reading.fetchall(), wanted.limit)
    counted = asked.counted or Count(len(shown), last is None)
    if total is None and asked.counted is None and len(shown) == wanted.limit:
        counting = await connection.execute(asked.total.text, asked.total.values, prepare=True)
    if counting is not None:
        (row,) = await counting.fetchall()
        counted = Count(row["rows"], row["whole"])
    partial = asked.plan.bounded and last is not None
    return {
        name: [show(row) for row in shown],
        "next": cursor_after(listing, wanted, last, counted) if last else None,
        **_total(counted),
        "partial": partial,
        "scanned_to": {column: last[column] for column in listing.key} if partial and last else None,
    }


def _cut(plan: ListPlan, rows: list[Row], limit: int) -> tuple[list[Row], Row | None]:
    """The rows to show, and the one after which the next page begins: none when all rows have been looked at."""
    if not plan.bounded:
        return rows[:limit], rows[limit - 1] if len(rows) > limit else None
    judged = [(row, row.pop("fits"), row.pop("looked")) for row in rows]
    fitting = [row for row, fits, looked in judged if fits and looked <= SCAN_ROWS]
    if len(fitting) > limit:
        return fitting[:limit], fitting[limit - 1]
    # One beyond the bound is there only behind the one at it.
    return fitting, rows[-2] if judged and judged[-1][2] > SCAN_ROWS else None


def _total(counted: Count) -> Row:
    exact = counted.whole and counted.rows <= COUNT_TO
    shown = min(counted.rows, COUNT_TO)
    return {"total": shown, "total_exact": exact, "total_text": f"{shown:,}" if exact else f"{shown:,}+"}
