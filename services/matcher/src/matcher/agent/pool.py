"""A pool of one child process."""

import asyncio
from concurrent.futures.process import BrokenProcessPool

import structlog

from matcher.agent.exit import CHILD_LOST, leave
from matcher.agent.scoring import Outcome, score_chunk, warm_up
from service_kit.children import child_pool

log = structlog.get_logger(__name__)


class ScoringPool:
    """Scores one chunk at a time. Make it in the main thread: the child lives as long as the thread that made it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._executor = child_pool(1)
        self._executor.submit(warm_up)

    async def score(self, job_id: str, chunk_no: int) -> Outcome:
        """Score a chunk in the child. A child that was killed (memory, a signal) ends this process: see exit.py."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, score_chunk, self._database_url, job_id, chunk_no)
        except BrokenProcessPool:
            log.exception("scoring process killed", job=job_id, chunk=chunk_no)
            leave(CHILD_LOST)
