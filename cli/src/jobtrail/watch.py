"""Following one job to its end, whatever is away in between."""

import time
from collections.abc import Callable

from rich.text import Text

from jobtrail.tables import job_line
from jobtrail.tracker import Json, Tracker, Unknown, Unreachable

ASK_SECONDS = 1.0
ARRIVE_SECONDS = 30.0
"""A job that was requested a moment ago is on the log, and not in the table before the projectors come to it."""


def follow_job(
    tracker: Tracker,
    job_id: str,
    show: Callable[[Text], None],
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
        except Unreachable as error:
            # What is away holds up the projectors, too: the time to arrive begins anew.
            deadline = None
            show(Text(str(error), style="yellow"))
        except Unknown as error:
            deadline = clock() + ARRIVE_SECONDS if deadline is None else deadline
            if seen or clock() >= deadline:
                raise
            show(Text(f"{error}; it may be on its way, asking for {ARRIVE_SECONDS:.0f} s", style="yellow"))
        else:
            seen = True
            show(job_line(job))
            if job["state"] == "finished":
                return job
        wait(ASK_SECONDS)
