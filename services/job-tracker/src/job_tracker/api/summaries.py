"""Jobs as lists, families and streams show them: the row, its health, and how it ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.health_signals import read_health_signals
from job_tracker.domain.health import HealthSignals
from job_tracker.domain.job_view import how_it_ended, summary
from service_kit.sql_files import queries

_ENDS = queries("job_tracker.store", "reads.sql")["end_bodies"]
Row = dict[str, Any]


async def summaries(
    connection: AsyncConnection, rows: Sequence[Row], now: datetime, signals: Mapping[str, HealthSignals] | None = None
) -> list[Row]:
    """What is shown of each row, in their order. `signals` of them are read unless they are known."""
    known = await read_health_signals(connection, rows, now) if signals is None else signals
    shown = [summary(row, now, known[row["job_id"]]) for row in rows]
    failed = [row["job_id"] for row in rows if row["e_error_category"]]
    ending = await (await connection.execute(_ENDS, {"job_ids": failed})).fetchall() if failed else []
    ends = {row["job_id"]: row["e_body"] for row in ending}
    for job in shown:
        job.update(how_it_ended(ends.get(job["job_id"])))
    return shown
