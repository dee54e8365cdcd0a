"""The list of jobs by health, which is in no column: a bounded scan that derives the health of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.health_signals import COLUMNS, read_health_signals
from job_tracker.api.list_statements import Count, Listing, ListQuery, cursor_after
from job_tracker.api.listing import count_shown, scan
from job_tracker.domain.health import Health, HealthSignals
from job_tracker.domain.job_row import LISTED_NAMES
from job_tracker.domain.job_view import health_of
from service_kit.sql_files import queries

_ROWS = queries("job_tracker.store", "reads.sql")["parents"].format(columns=", ".join(LISTED_NAMES), scope="").encode()
_UNFINISHED = ("PENDING", "RUNNING")
Row = dict[str, Any]


async def page_by_health(
    connection: AsyncConnection, listing: Listing, query: ListQuery, words: Sequence[Health], now: datetime
) -> tuple[Row, Mapping[str, HealthSignals]]:
    """A page as `listing.page` gives it, of rows of jobs whose health is one of `words`; and the signals of its jobs.

    Raises:
        Problem: the cursor is none of this list.
    """
    query = _narrowed(query, words)
    if query.is_empty:
        return _page([], None, Count(0, whole=True)), {}
    # Thousands of rows are scanned and few are shown: only the needed columns are read first.
    searched = listing.search if query.forms else ()
    columns = dict.fromkeys((*listing.key, *COLUMNS, "s_at", "p_at", *query.filters, *searched))
    rows, last, before = await scan(connection, replace(listing, columns=tuple(columns)), query)
    signals = await read_health_signals(connection, rows, now)
    fitting = [row for row in rows if health_of(row, now, signals[row["job_id"]]) in words]
    counted = before or Count(len(fitting), whole=last is None)
    if len(fitting) > query.limit:
        fitting = fitting[: query.limit]
        last = fitting[-1]
    reading = await connection.execute(_ROWS, {"job_ids": [row["job_id"] for row in fitting]}, prepare=True)
    whole = {row["job_id"]: row for row in await reading.fetchall()}
    shown = [whole[row["job_id"]] for row in fitting]
    answer = _page(shown, cursor_after(listing, query, last, counted) if last else None, counted)
    answer["scanned_to"] = {column: last[column] for column in listing.key} if last else None
    return answer, signals


def _narrowed(query: ListQuery, words: Sequence[Health]) -> ListQuery:
    """The query with the words in the mark of its cursors. Only unfinished jobs have another health than ok."""
    derived = {"health": sorted(set(words))}
    if "ok" in words:
        return replace(query, derived=derived)
    status = [one for one in query.filters.get("status", _UNFINISHED) if one in _UNFINISHED]
    return replace(query, derived=derived, filters=query.filters | {"status": status})


def _page(jobs: list[Row], after: str | None, counted: Count) -> Row:
    return {"jobs": jobs, "next": after, **count_shown(counted), "partial": after is not None, "scanned_to": None}
