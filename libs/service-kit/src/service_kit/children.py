"""Child processes that work for their parent and die with it, however it dies."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def child_pool(processes: int) -> ProcessPoolExecutor:
    """Spawned children, because the parent has threads. Submit from one thread: they live as long as it does."""
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
        initargs=(os.getpid(),),
    )


@contextmanager
def children(processes: int) -> Generator[ProcessPoolExecutor]:
    """A pool whose work nobody waits for when this is left by an exception, such as an interrupt."""
    others = set(multiprocessing.active_children())
    pool = child_pool(processes)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _die_with_parent(parent: int) -> None:
    # Signals of a terminal or supervisor go to the whole group; only the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
