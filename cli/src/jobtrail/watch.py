"""Follows one job to its end, also while the tracker is away."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from jobtrail.errors import NotFound, TrackerUnreachable
from jobtrail.tables import eta_text, job_line
from jobtrail.tracker import NO_PROJECTOR, Json, Tracker

POLL_SECONDS = 1.0
ARRIVAL_SECONDS = 30.0
"""Time for a new job to get from the log into the table."""

Show = Callable[[Text, str], None]
"""Shows a line, and a part behind it that changes every second."""


@contextmanager
def changes_shown(console: Console) -> Generator[Show, None, None]:
    """One line that is redrawn on a terminal; elsewhere a line for each change of the first part."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda line, seconds: live.update(Text.assemble(line, seconds))
        return
    printed: Text | None = None

    def show(line: Text, _: str) -> None:
        nonlocal printed
        if line != printed:
            console.print(line, soft_wrap=True)
            printed = line

    yield show


def follow_job(
    tracker: Tracker,
    job_id: str,
    show: Show,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Json:
    """Poll until the job has finished, and show each state; returns the finished job.

    Raises:
        UserError: the request is invalid, the job is deleted, or it is not in the table after ARRIVAL_SECONDS.
    """
    seen = False
    deadline: float | None = None
    while True:
        try:
            job = tracker.job(job_id)
        except TrackerUnreachable as error:
            # The projectors may be delayed, too: the time to arrive begins again.
            deadline = None
            show(Text(str(error), style="yellow"), "")
        except NotFound as error:
            deadline = clock() + ARRIVAL_SECONDS if deadline is None else deadline
            if seen or clock() >= deadline:
                raise
            show(Text(f"{error}; waiting up to {ARRIVAL_SECONDS:.0f} s for it", style="yellow"), "")
        else:
            seen = True
            line = job_line(job)
            if not tracker.freshness.get("alive", True):
                line.append(f" · {NO_PROJECTOR}", style="yellow")
            show(line, eta_text(job))
            if job["state"] == "finished":
                return job
        wait(POLL_SECONDS)
