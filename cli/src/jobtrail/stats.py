"""`jobtrail stats`: how many jobs there are, by status and by type."""

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobtrail.answers import Stats
from jobtrail.tables import STATUS_STYLES
from jobtrail.tracker import Tracker


def show_stats(
    console: Console,
    tracker: Tracker,
    tenant: str | None,
    job_type: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Print the counts of whole UTC days of creation, from the day of `since` to that of `until`."""
    days = {"from": since.date().isoformat() if since else None, "to": until.date().isoformat() if until else None}
    stats = tracker.read("/stats", Stats, tenant=tenant, type=job_type, **days)
    table = Table(header_style="bold")
    for name in ("Type", "Status"):
        table.add_column(name, overflow="fold")
    for name in ("Jobs", "Processed", "Failed", "Skipped"):
        table.add_column(name, justify="right")
    for row in stats.by_type:
        counts = (f"{count:,}" for count in (row.jobs, row.processed, row.failed, row.skipped))
        table.add_row(Text(row.job_type), Text(row.status, style=STATUS_STYLES.get(row.status, "")), *counts)
    console.print(table)
    words = [f"{count:,} {status}" for status, count in stats.by_status.items()]
    console.print(Text(f"{stats.jobs:,} jobs{': ' if words else ''}{', '.join(words)}"), soft_wrap=True)
    if stats.success_rate is not None:
        console.print(f"{stats.success_rate:.1%} of those that have finished are COMPLETED", markup=False)
