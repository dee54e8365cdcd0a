"""Runs one part of the tracker; `arguments` says which. Each part imports only what it needs."""

import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from types import FrameType

from job_tracker import bootstrap
from job_tracker.arguments import SERVERS, read_arguments
from job_tracker.settings import Settings
from service_kit.bootstrap import start
from service_kit.errors import Stopping

_LOOK_EVERY = 0.2  # seconds


def main() -> int:
    """Exit status 0 after SIGTERM or SIGINT.

    `commands` describes those of rebuild, audit and archive.
    """
    arguments = read_arguments()
    settings = start(Settings, "job-tracker", f"job-tracker {arguments.part}")
    if arguments.part not in SERVERS:
        from job_tracker import commands

        return commands.run(settings, arguments)
    if arguments.part == "api":
        return _api(settings)
    if arguments.part == "scheduler":
        from job_tracker.bootstrap_scheduler import run_scheduler

        return _until_signal(lambda stop: run_scheduler(settings, stop))
    run = bootstrap.run_jobs_projector if arguments.part == "projector" else bootstrap.run_items_projector
    return _until_signal(lambda stop: run(settings, stop))


def _api(settings: Settings) -> int:
    """Until SIGTERM or SIGINT, which uvicorn raises once more when all is done."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()  # an exception raised during garbage collection is lost
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with suppress(KeyboardInterrupt, Stopping):
        from job_tracker import bootstrap_api

        bootstrap.prepare_schema(settings, stop.wait)
        bootstrap_api.run_api(settings, stop)
    return 0


def _until_signal(run: Callable[[threading.Event], None]) -> int:
    """Run in a thread; the main thread waits for SIGTERM and SIGINT, so that no handler breaks into a lock."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="server") as threads:
        running = threads.submit(run, stop)
        while not wait([running], _LOOK_EVERY).done:
            # Not sigtimedwait: in a process that was stopped and continued it reports signals that were not sent.
            if signal.sigpending() & signals:
                stop.set()
    running.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
