"""Jobs as tables and lines for a terminal.

What others wrote, such as names, phases and messages, goes into a Text: as a str it would be read as Rich's markup.
"""

from collections.abc import Iterable
from datetime import timedelta

from rich.table import Table
from rich.text import Text

from jobtrail.tracker import Json

STATUS_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "MIXED": "yellow",
    "FAILED": "red",
    "CANCELLED": "magenta",
}


def jobs_table(jobs: Iterable[Json], title: str | None = None) -> Table:
    """One row a job."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("Job", "Type", "Account", "Status"):
        table.add_column(name, no_wrap=True)
    table.add_column("Done", justify="right")
    table.add_column("Details", overflow="fold", min_width=30)
    table.add_column("Took", justify="right", no_wrap=True)
    for job in jobs:
        error = job.get("error")
        why = f"{error['category']}: {error['message']}" if error else job["error_category"]
        table.add_row(
            Text(job["job_id"]),
            Text(job["type"]),
            Text(job["account"]),
            status_text(job),
            counters_text(job),
            Text(why, style="red") if why else details_text(job),
            took_text(job),
        )
    return table


def job_line(job: Json) -> Text:
    """`PRODUCT_PULL RUNNING 120 of 240 · page 3 · 0:00:30 left`."""
    line = Text.assemble(job["type"], " ", status_text(job), f" {counters_text(job)}")
    if job.get("phase") and job["state"] == "running":
        line.append(f" · {job['phase']}")
    if job.get("eta_seconds"):
        line.append(f" · {timedelta(seconds=job['eta_seconds'])} left")
    if job.get("error"):
        line.append(f" · {job['error']['message']}")
    return line


def status_text(job: Json) -> Text:
    """The status in its colour."""
    return Text(job["status"], style=STATUS_STYLES.get(job["status"], ""))


def counters_text(job: Json) -> str:
    """`120 of 240, 1 failed, 3 skipped`."""
    counters = job["counters"]
    total = counters["total"]
    parts = [f"{counters['processed']:,}" + (f" of {total:,}" if total is not None else "")]
    parts += [f"{counters[name]:,} {name}" for name in ("failed", "skipped") if counters[name]]
    return ", ".join(parts)


SHOWN_DETAILS = (
    "created",
    "updated",
    "unchanged",
    "exactMatches",
    "matched",
    "review",
    "conflicts",
    "batches",
    "pages",
)


def details_text(job: Json) -> str:
    """The numbers of the metadata that people ask for first."""
    metadata = job.get("metadata") or {}
    return ", ".join(f"{name} {metadata[name]:,}" for name in SHOWN_DETAILS if isinstance(metadata.get(name), int))


def took_text(job: Json) -> str:
    """Duration in words; nothing while unknown."""
    milliseconds = job.get("duration_ms")
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f} s"
