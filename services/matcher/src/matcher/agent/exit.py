"""Ends an agent's process at once: a normal exit of the interpreter would wait for the pool's child."""

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import faust

STOOD_STILL = 70
CHILD_LOST = 71


def leave(code: int) -> NoReturn:
    """End now. Messages that were not acknowledged are delivered again to the next owner of the partition."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_and_leave(app: "faust.App") -> NoReturn:
    """Run Faust's worker until a signal, then end with its exit code."""
    sys.argv = [sys.argv[0], "worker", "--loglevel", "warn", "--without-web"]
    code = 1
    try:
        app.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        leave(code)
