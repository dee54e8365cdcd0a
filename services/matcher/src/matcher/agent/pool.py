"""A pool of one child process. Spawned, because the parent has threads; it dies with its parent, however that dies."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import structlog

from matcher.agent.leaving import CHILD_LOST, leave
from matcher.agent.scoring import Outcome, score_chunk, warm_up

log = structlog.get_logger(__name__)
_PR_SET_PDEATHSIG = 1


class ScoringPool:
    """Scores one chunk at a time. Make it in the main thread: the child lives as long as the thread that made it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._executor = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_die_with_parent,
            initargs=(os.getpid(),),
        )
        self._executor.submit(warm_up)

    async def score(self, job_id: str, chunk_no: int) -> Outcome:
        """Score a chunk in the child. A child that is gone (no memory, a signal) ends this process: see leaving.py."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, score_chunk, self._database_url, job_id, chunk_no)
        except BrokenProcessPool:
            log.exception("the scoring process is gone", job=job_id, chunk=chunk_no)
            leave(CHILD_LOST)


def _die_with_parent(parent: int) -> None:
    # Signals of a terminal or supervisor go to the whole group; only the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
