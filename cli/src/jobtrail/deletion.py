"""Deletes finished jobs that are older than a date, page by page."""

from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from jobtrail.tracker import Json, Tracker

FINISHED = ("COMPLETED", "MIXED", "FAILED", "CANCELLED")


def delete_older(
    console: Console, tracker: Tracker, before: datetime, filters: dict[str, Any], reason: str, *, ask: bool
) -> None:
    """Delete what finished before `before` and fits `filters` (status, type, account, tenant).

    ask: show how many jobs there are at most, and go on after a yes only; EOF at the prompt means no.

    Raises:
        typer.Abort: the answer is no.
        UserError: the tracker refuses or does not answer; what was deleted until then stays deleted.
    """
    date = before.isoformat(timespec="seconds")
    if ask:
        # Lists know when a job was created, which is before it finished.
        counted = {"status": list(FINISHED), **filters, "to": before.isoformat()}
        total = next(iter(tracker.pages(1, **counted)))["total_text"]
        typer.confirm(f"Delete up to {total} jobs that finished before {date} for good?", abort=True)
    body: Json = {"finished_before": before.isoformat(), "reason": reason, **filters}
    columns = (TextColumn("Deleting jobs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    deleted = 0
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=None)
            for page in tracker.delete_jobs(body):
                deleted += page.deleted
                bar.update(task, advance=page.checked, total=page.total if page.total_exact else None)
    finally:
        console.print(Text(f"Deleted {deleted:,} jobs that finished before {date}"), soft_wrap=True)
