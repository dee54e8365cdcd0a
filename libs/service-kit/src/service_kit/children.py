"""Child processes that end with their parent, also when it is killed."""

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
    """A pool of spawned processes (the parent has threads). Submit from one thread: the processes end with it."""
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
        initargs=(os.getpid(),),
    )


@contextmanager
def children(processes: int) -> Generator[ProcessPoolExecutor]:
    """A pool as a context manager; an exception, such as an interrupt, kills its processes without waiting for them."""
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
    # A terminal or a supervisor signals the whole group; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl was called
        os._exit(0)
