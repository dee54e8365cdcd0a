"""A process of the tracker with kill points that a control file triggers, and with removable guards.

CHAOS_CONTROL names the file. It holds a action and a point, `kill after_copy` say: the process that comes to the
point does the action to itself. CHAOS_MUTANT names a guard to remove before anything runs.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import LiteralString

from tests.chaos.members import KILLS_ITSELF
from tests.chaos.mutants import remove_guard

from job_tracker import bootstrap
from job_tracker.__main__ import main
from job_tracker.projector import items_projection, jobs_projection
from job_tracker.store.binary_copy import EncodedRows, copy_rows
from job_tracker.store.postgres import Cursor

POINTS = ("after_poll", "before_copy", "after_copy", "before_commit", "after_commit", "in_rebalance")


class KillPoints:
    """Called by the projector at each of its points."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def __call__(self, point: str) -> None:
        try:
            action, _, wanted = self._control.read_text().partition(" ")
        except FileNotFoundError:
            return
        if wanted != point:
            return
        try:
            self._control.unlink()
        except FileNotFoundError:
            return  # disarmed in this moment
        if action == "kill":
            print(json.dumps({"event": KILLS_ITSELF, "point": point}), file=sys.stderr, flush=True)  # noqa: T201
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # nothing runs on from here
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.05)  # the signal stops the process a moment later: it shall be here


def copying(at: KillPoints) -> Callable[..., None]:
    """`copy_rows` with the point `in_copy`: every row is sent, and PostgreSQL waits for the end."""

    def copy(cursor: Cursor, statement: LiteralString, blocks: Iterable[EncodedRows]) -> None:
        def all_but_the_end() -> Iterator[EncodedRows]:
            yield from blocks
            at("in_copy")

        copy_rows(cursor, statement, all_but_the_end())

    return copy


if __name__ == "__main__":
    remove_guard(os.environ.get("CHAOS_MUTANT", ""))
    at = KillPoints(Path(os.environ["CHAOS_CONTROL"]))
    jobs_projection.copy_rows = items_projection.copy_rows = copying(at)
    bootstrap.run_projector = partial(bootstrap.run_projector, failpoint=at)
    sys.exit(main())
