"""Pulls whose every page the test sees: real handlers, PostgreSQL and HTTP, and clocks that stand until they are set.

A job is killed by an exception out of its checkpoint, before or after the commit; it resumes from what was committed.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import uvicorn
from psycopg_pool import ConnectionPool
from tests.job_requests import job_request

from job_events.envelope import encode
from job_events.topics import Topics
from local_stack import free_port
from sandbox.app import create_app
from sandbox.transports import Transports
from worker.job import Checkpoint, Claim, RunningJob, WorkerContext  # pyright: ignore[reportPrivateImportUsage]


class SetClock:
    """The time of this machine and of the sandbox, in unix seconds, until it is set anew."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@contextmanager
def running_sandbox(folder: Path, clock: SetClock, wait_until: Callable[..., None]) -> Generator[httpx.Client]:
    """The sandbox in this process, on the test's clock; yields a client of its control API."""
    transports, port = Transports(), free_port()
    config = uvicorn.Config(
        create_app(folder, transports, clock),
        port=port,
        http=transports.protocol(),
        log_level="warning",
        access_log=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the sandbox answers")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/_sandbox", timeout=60, trust_env=False) as control:
            yield control
    finally:
        server.should_exit = True
        thread.join()


class Killed(BaseException):
    """The process died here."""


class Cancelled(BaseException):
    """The job ended here for good."""


class DrivenJob(RunningJob):
    """One attempt. `at_page(moment)` is called with "before" and "after" each commit, and may raise Killed or
    Cancelled."""

    def __init__(self, claim: Claim, context: WorkerContext, at_page: Callable[[str], None]) -> None:
        super().__init__(claim, context, "test")
        self._at_page = at_page
        self.committed: tuple[Any, dict[str, Any]] = (claim.cursor, claim.counters or {})

    def progress(self, phase: str | None = None) -> None:
        """Nobody reads it."""

    def wait(self, seconds: float, reason: str) -> None:
        raise AssertionError(f"a pull waits {seconds} s: {reason}")

    @contextmanager
    def checkpoint(self, *, work_done: bool = False) -> Generator[Checkpoint, None, None]:
        with self.context.pool.connection() as conn:
            checkpoint = Checkpoint(self, conn)
            yield checkpoint
            self._at_page("before")
        self.cursor, self.counters = checkpoint.cursor, checkpoint.counters
        stored = msgspec.json.decode(msgspec.json.encode([self.cursor, self.counters]))
        self.committed = (stored[0], stored[1])
        self._at_page("after")


def run_to_end(
    handler: Callable[[RunningJob], object],
    pool: ConnectionPool,
    clock: SetClock,
    job_type: str,
    account: str,
    at_page: Callable[[str], None] = lambda _: None,
    **params: Any,
) -> DrivenJob:
    """Run one job, in as many attempts as it takes; returns the last one."""
    unused = cast("Any", None)
    context = WorkerContext(pool, Topics("driven."), unused, unused, clock, "test", "test")
    request = job_request(job_type, "demo", account, **params)
    cursor, counters, attempt = None, None, 1
    while True:
        claim = Claim(request.job_id, encode(request).decode(), attempt, None, cursor, counters, 0)
        job = DrivenJob(claim, context, at_page)
        try:
            handler(job)
        except Cancelled:
            return job
        except Killed:
            (cursor, counters), attempt = job.committed, attempt + 1
            counters = counters or None
            continue
        return job
