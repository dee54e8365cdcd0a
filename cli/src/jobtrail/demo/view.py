"""The live view of a demo: one line a job, with its state, its progress bar and its numbers."""

from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobtrail.tables import counters_text, status_text
from jobtrail.tracker import Json


class DemoView:
    """A context manager; on a terminal it redraws, elsewhere it prints a line whenever a job's status changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._printed: dict[str, str] = {}

    def __enter__(self) -> "DemoView":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, jobs: list[Json]) -> None:
        """Show the present state of the jobs."""
        if self._live:
            self._live.update(_table(jobs))
            return
        for job in jobs:
            if self._printed.get(job["job_id"]) != job["status"]:
                self._printed[job["job_id"]] = job["status"]
                self._console.print(f"   {job['type']:<24} {job['status']:<10} {counters_text(job)}", markup=False)


def _table(jobs: list[Json]) -> RenderableType:
    table = Table(box=None, padding=(0, 1), show_header=False)
    for job in jobs:
        total, processed = job["counters"]["total"], job["counters"]["processed"]
        finished = job["state"] == "finished"
        bar = ProgressBar(
            total=float(total) if total else 100.0,
            completed=float(processed) if total else (100.0 if finished else 0.0),
            width=24,
            pulse=not finished and not total and job["state"] == "running",
        )
        phase = "" if finished else (job.get("phase") or "")
        table.add_row(Text(job["type"]), status_text(job), bar, counters_text(job), Text(phase, style="dim"))
    return table
