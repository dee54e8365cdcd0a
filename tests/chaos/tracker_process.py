"""A part of the tracker as people start it, with kill points that obey a control file, and guards that can be removed.

CHAOS_CONTROL names the file. It holds a deed and a point, `kill after_copy` say: the process that comes to the
point does the deed to itself. CHAOS_MUTANT names a guard to remove before anything runs.
"""

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from tests.chaos.mutants import remove_guard

from job_tracker import bootstrap
from job_tracker.__main__ import main

POINTS = ("after_poll", "before_copy", "after_copy", "before_commit", "after_commit", "in_rebalance")


class KillPoints:
    """Called by the projector at each of its points."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def __call__(self, point: str) -> None:
        try:
            deed, _, wanted = self._control.read_text().partition(" ")
        except FileNotFoundError:
            return
        if wanted != point:
            return
        self._control.unlink(missing_ok=True)
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # nothing runs on from here
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.05)  # the signal stops the process a moment later: it shall be here


if __name__ == "__main__":
    remove_guard(os.environ.get("CHAOS_MUTANT", ""))
    at = KillPoints(Path(os.environ["CHAOS_CONTROL"]))
    bootstrap.run_projector = partial(bootstrap.run_projector, at=at)
    sys.exit(main())
