"""Child processes that work for their parent and die with it, however it dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, forkserver
from typing import Literal


def child_pool(processes: int, method: Literal["spawn", "forkserver"] = "spawn") -> ProcessPoolExecutor:
    """Children that are not forked from this process, because it may have threads."""
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context(method), initializer=_die_with_parent)


def expect_children(modules: Iterable[str]) -> None:
    """Have `modules` imported for all `children`, by the process that forks them, beside what this one does meanwhile.

    Who is killed leaves an empty directory of that process among the temporary files.
    """
    forkserver.set_forkserver_preload([*modules])
    forkserver.ensure_running()


@contextmanager
def children(processes: int) -> Generator[ProcessPoolExecutor]:
    """A pool whose work nobody waits for when this is left by an exception, such as an interrupt."""
    others = set(multiprocessing.active_children())
    pool = child_pool(processes, "forkserver")
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
    # Linux' own death signal would not do: it follows the process that forked this one, which lives as long as this.
    threading.Thread(target=_end_without_parent, name="end without parent", daemon=True).start()


def _end_without_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child
    connection.wait([parent.sentinel])
    os._exit(1)
