"""A clock that stands at the time in a file, for schedulers in processes of their own."""

import os
from datetime import datetime
from pathlib import Path
from time import monotonic


class FileClock:
    """Reads the file at each look."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def now(self) -> datetime:
        return datetime.fromisoformat(self._path.read_text())

    def monotonic(self) -> float:
        return monotonic()


def set_clock(path: Path, now: datetime) -> None:
    """Move the clock; no reader sees half a time."""
    written = path.with_suffix(".new")
    written.write_text(now.isoformat())
    os.replace(written, path)


def install(path: str) -> None:
    """Let the scheduler of this process use the clock in the file."""
    from job_tracker import bootstrap_scheduler

    bootstrap_scheduler.SystemClock = lambda: FileClock(path)  # pyright: ignore[reportAttributeAccessIssue]
