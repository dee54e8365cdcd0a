"""Child processes that work for their parent and die with it, however it dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, forkserver


def expect_children(modules: Iterable[str]) -> None:
    """Have `modules` imported once for all children to come, beside what this process does until it needs them."""
    forkserver.set_forkserver_preload([*modules])
    forkserver.ensure_running()


def child_pool(processes: int) -> ProcessPoolExecutor:
    """Its children are forked from a process kept for that, which has no threads; the parent may have some."""
    return ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("forkserver"), initializer=_die_with_parent
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


def _die_with_parent() -> None:
    # Signals of a terminal or supervisor go to the whole group; only the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Linux' own death signal would not do: it follows the process that forks the children, and that lives as they do.
    threading.Thread(target=_end_without_parent, name="end without parent", daemon=True).start()


def _end_without_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child
    connection.wait([parent.sentinel])
    os._exit(1)
