"""Following one job to its end, whatever is away in between."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from jobtrail.errors import NotFound, TrackerUnreachable
from jobtrail.tables import eta_text, job_line
from jobtrail.tracker import NO_PROJECTOR, Json, Tracker

ASK_SECONDS = 1.0
ARRIVE_SECONDS = 30.0
"""A job that was requested a moment ago is on the log, and not in the table before the projectors come to it."""

Show = Callable[[Text, str], None]
"""Takes what is known, and behind it what changes with every second."""


@contextmanager
def changes_shown(console: Console) -> Generator[Show, None, None]:
    """One line that is redrawn on a terminal; elsewhere a line for each change, which a passing second is not."""
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
    """Ask until the job has finished, and show each answer; returns the finished job.

    Raises:
        Refused: the request is wrong, the job is deleted, or it has not come into the table within ARRIVE_SECONDS.
    """
    seen = False
    deadline: float | None = None
    while True:
        try:
            job = tracker.job(job_id)
        except TrackerUnreachable as error:
            # What is away holds up the projectors, too: the time to arrive begins anew.
            deadline = None
            show(Text(str(error), style="yellow"), "")
        except NotFound as error:
            deadline = clock() + ARRIVE_SECONDS if deadline is None else deadline
            if seen or clock() >= deadline:
                raise
            show(Text(f"{error}; it may be on its way, asking for {ARRIVE_SECONDS:.0f} s", style="yellow"), "")
        else:
            seen = True
            line = job_line(job)
            if not tracker.freshness.get("alive", True):
                line.append(f" · {NO_PROJECTOR}", style="yellow")
            show(line, eta_text(job))
            if job["state"] == "finished":
                return job
        wait(ASK_SECONDS)
