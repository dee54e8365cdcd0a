"""The list of jobs by health, which no index and no column holds: a bounded scan whose rows are judged one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.list_statements import Count, Listing, ListQuery, cursor_after
from job_tracker.api.listing import count_shown, scan
from job_tracker.api.signs import COLUMNS, read_signs
from job_tracker.domain.health import Health, Signs
from job_tracker.domain.job_row import LISTED_NAMES
from job_tracker.domain.job_view import health_of
from service_kit.sql_files import queries

_ROWS = queries("job_tracker.store", "reads.sql")["parents"].format(columns=", ".join(LISTED_NAMES), scope="").encode()
_UNFINISHED = ("PENDING", "RUNNING")
Row = dict[str, Any]


async def page_by_health(
    connection: AsyncConnection, listing: Listing, wanted: ListQuery, words: Sequence[Health], now: datetime
) -> tuple[Row, Mapping[str, Signs]]:
    """A page as `listing.page` gives it, of rows of jobs whose health is one of `words`; and the signs of its jobs.

    Raises:
        Problem: the cursor is none of this list.
    """
    wanted = _narrowed(wanted, words)
    if wanted.is_empty:
        return _page([], None, Count(0, whole=True)), {}
    # Thousands of rows are judged, and few of them shown: of the others only what is needed is read.
    searched = listing.search if wanted.forms else ()
    columns = dict.fromkeys((*listing.key, *COLUMNS, "s_at", "p_at", *wanted.filters, *searched))
    rows, last, before = await scan(connection, replace(listing, columns=tuple(columns)), wanted)
    signs = await read_signs(connection, rows, now)
    fitting = [row for row in rows if health_of(row, now, signs[row["job_id"]]) in words]
    counted = before or Count(len(fitting), whole=last is None)
    if len(fitting) > wanted.limit:
        fitting = fitting[: wanted.limit]
        last = fitting[-1]
    reading = await connection.execute(_ROWS, {"job_ids": [row["job_id"] for row in fitting]}, prepare=True)
    whole = {row["job_id"]: row for row in await reading.fetchall()}
    shown = [whole[row["job_id"]] for row in fitting]
    answer = _page(shown, cursor_after(listing, wanted, last, counted) if last else None, counted)
    answer["scanned_to"] = {column: last[column] for column in listing.key} if last else None
    return answer, signs


def _narrowed(wanted: ListQuery, words: Sequence[Health]) -> ListQuery:
    """With the words among what tells its cursors from others; every word but ok is of unfinished jobs alone."""
    derived = {"health": sorted(set(words))}
    if "ok" in words:
        return replace(wanted, derived=derived)
    status = [one for one in wanted.filters.get("status", _UNFINISHED) if one in _UNFINISHED]
    return replace(wanted, derived=derived, filters=wanted.filters | {"status": status})


def _page(jobs: list[Row], after: str | None, counted: Count) -> Row:
    return {"jobs": jobs, "next": after, **count_shown(counted), "partial": after is not None, "scanned_to": None}
