"""Jobs and their counts as tables and lines for a terminal.

Text from outside, such as names, phases and messages, goes into a Text: a str would be parsed as Rich's markup.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from jobtrail.answers import Stats
from jobtrail.tracker import Json, Tracker

BESIDE_ID, FOR_DETAILS = 84, 26
"""Width of the fixed columns besides the id, and of the optional details column."""

STATUS_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "MIXED": "yellow",
    "FAILED": "red",
    "CANCELLED": "magenta",
}
HEALTH_STYLES = {"ok": "dim", "paused": "yellow", "late": "yellow", "stalled": "red", "lost": "bold red"}


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs for any console: a table where it fits, else a few lines a job. Ids and statuses are never folded."""

    jobs: Sequence[Json]
    now: datetime
    title: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        longest = max((len(job["job_id"]) for job in self.jobs), default=0)
        details = any(_details(job) for job in self.jobs)
        if options.max_width >= longest + BESIDE_ID + (FOR_DETAILS if details else 0):
            yield self._table(details)
            return
        if self.title:
            yield Text(self.title, style="italic")
        for job in self.jobs:
            yield from self._block(job)

    def _table(self, details: bool) -> Table:
        table = Table(title=self.title, title_justify="left", header_style="bold")
        table.add_column("Job", no_wrap=True)
        table.add_column("Type", overflow="fold")
        table.add_column("Account", overflow="fold")
        table.add_column("Status", no_wrap=True)
        table.add_column("Health", no_wrap=True)
        table.add_column("Done", justify="right")
        for name in ("Age", "Took"):
            table.add_column(name, justify="right", no_wrap=True)
        if details:
            table.add_column("Details", overflow="fold")
        for job in self.jobs:
            table.add_row(
                Text(job["job_id"]),
                Text(job["type"]),
                Text(job["account"]),
                status_text(job),
                health_text(job),
                counters_text(job),
                age_text(job, self.now),
                took_text(job),
                *([_details(job)] if details else []),
            )
        return table

    def _block(self, job: Json) -> Iterator[Text]:
        took, details = took_text(job), _details(job)
        health = health_text(job) if job["state"] != "finished" else Text()
        words = Text(" ").join([status_text(job), *([health] if health else [])])
        yield Text.assemble((job["job_id"], "bold"), "  ", words, overflow="fold")
        yield Text(f"  {job['type']} of {job['account']}", overflow="fold")
        yield Text(f"  {counters_text(job)} done, {age_text(job, self.now)} old{took and f', took {took}'}")
        if details:
            yield Text.assemble("  ", details, overflow="fold")


def job_line(job: Json) -> Text:
    """`PRODUCT_PULL RUNNING 120 of 240 · page 3`."""
    line = Text.assemble(job["type"], " ", status_text(job), f" {counters_text(job)}")
    if job["state"] != "finished" and (job.get("health") or "ok") != "ok":
        line.append_text(Text.assemble(" · ", health_text(job)))
    if job.get("phase") and job["state"] == "running":
        line.append(f" · {job['phase']}")
    if note := note_text(job):
        line.append(f" · {note}", style="yellow")
    if job.get("error"):
        line.append(f" · {job['error']['message']}")
    return line


def eta_text(job: Json) -> str:
    """` · 0:00:30 left`; empty while unknown."""
    return f" · {timedelta(seconds=job['eta_seconds'])} left" if job.get("eta_seconds") else ""


def status_text(job: Json) -> Text:
    """The status in its colour."""
    return Text(job["status"], style=STATUS_STYLES.get(job["status"], ""))


def health_text(job: Json) -> Text:
    """`ok`, `paused`, `late`, `stalled` or `lost`; empty if unknown."""
    word = job.get("health") or ""
    return Text(word, style=HEALTH_STYLES.get(word, ""))


def counters_text(job: Json) -> str:
    """`120 of 240, 1 failed, 3 skipped`."""
    counters = job["counters"]
    total = counters["total"]
    parts = [f"{counters['processed']:,}" + (f" of {total:,}" if total is not None else "")]
    parts += [f"{counters[name]:,} {name}" for name in ("failed", "skipped") if counters[name]]
    return ", ".join(parts)


AGES = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1), "s": timedelta(seconds=1)}
SHOWN_DETAILS = (
    "created",
    "updated",
    "wouldUpdate",
    "unchanged",
    "exactMatches",
    "matched",
    "review",
    "conflicts",
    "batches",
    "pages",
)


def details_text(job: Json) -> str:
    """The most important numbers of the metadata."""
    metadata = job.get("metadata") or {}
    return ", ".join(f"{name} {metadata[name]:,}" for name in SHOWN_DETAILS if isinstance(metadata.get(name), int))


def note_text(job: Json) -> str:
    """What waits for a person: `3 held`, `stopped: too large`, `would stop`; empty if nothing does."""
    held, code = job.get("held"), job.get("error_code")
    if code == "WOULD_STOP":
        return "would stop"
    if code == "CHANGE_TOO_LARGE":
        return "stopped: too large"
    return f"{held:,} held" if held else ("items held" if code == "ITEMS_HELD" else "")


def _details(job: Json) -> Text:
    """What waits for a person, else the error, else the numbers; lists only have the category of an error."""
    error = job.get("error")
    if note := note_text(job):
        more = error["message"] if error else details_text(job)
        return Text(f"{note}: {more}" if more else note, style="yellow")
    why = f"{error['category']}: {error['message']}" if error else job.get("error_category")
    return Text(why, style="red") if why else Text(details_text(job))


def age_text(job: Json, now: datetime) -> str:
    """How long ago the job was created, in its largest unit."""
    age = now - datetime.fromisoformat(job["created_at"])
    for unit, length in AGES.items():
        if age >= length:
            return f"{age // length} {unit}"
    return "0 s"


def took_text(job: Json) -> str:
    """The duration in seconds; empty while unknown."""
    milliseconds = job.get("duration_ms")
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f} s"


def show_stats(
    console: Console,
    tracker: Tracker,
    tenant: str | None,
    job_type: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """`jobtrail stats`: count jobs by whole UTC days of creation, from the day of `since` to the day of `until`."""
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
        console.print(f"{stats.success_rate:.1%} of the finished jobs are COMPLETED", markup=False)
