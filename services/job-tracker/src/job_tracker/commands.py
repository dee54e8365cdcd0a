"""The commands that run once: their calls, and their exit statuses."""

import argparse
import logging
import signal
import sys
from typing import Any

import psycopg
from confluent_kafka import KafkaException
from rich.console import Console

from job_tracker import bootstrap_archive, bootstrap_rebuild
from job_tracker.errors import TrackerError
from job_tracker.settings import Settings
from service_kit.clock import SystemClock

REFUSED, INTERRUPTED = 2, 130

_REPORTED = (TrackerError, KafkaException, psycopg.Error, OSError)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Exit status 0: done, nothing differs. 1: something differs. 2: refused, with one sentence. 130: interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    # An interrupt may hit the driver within a command, which then cannot be rolled back: its connection is closed, and
    # only the interrupt is reported.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        return _part(settings, arguments)
    except _REPORTED as error:
        sentence = " ".join(str(error).split()) or type(error).__name__
        print(f"{arguments.part}: {sentence}", file=sys.stderr)  # noqa: T201
        return REFUSED
    except KeyboardInterrupt as error:
        print(f"{arguments.part}: {'; '.join(['interrupted', *error.args])}", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


def _part(settings: Settings, arguments: argparse.Namespace) -> int:
    clock, console = SystemClock(), Console(highlight=False)
    match arguments.part:
        case "rebuild" if arguments.items:
            bootstrap_rebuild.run_items_rebuild(
                settings, clock, console, archive=arguments.archive, accept_loss=arguments.accept_loss is not None
            )
            return 0
        case "rebuild":
            return bootstrap_rebuild.run_rebuild(
                settings,
                clock,
                console,
                archive=arguments.archive,
                swap=arguments.swap,
                accept_loss=arguments.accept_loss is not None,
                lost_jobs=arguments.accept_loss or (),
            )
        case "skip-gap":
            return bootstrap_rebuild.run_skip_gap(settings, console, yes=arguments.yes)
        case "audit":
            jobs = None if arguments.all else arguments.jobs
            return bootstrap_rebuild.run_audit(
                settings, clock, console, archive=arguments.archive, jobs=jobs, seed=arguments.seed
            )
        case _:
            if arguments.verify:
                bootstrap_archive.run_verify(settings, console, arguments.archive)
            elif arguments.prune:
                bootstrap_archive.run_prune(settings, console, arguments.archive)
            else:
                bootstrap_archive.run_archive(settings, clock, console, arguments.archive)
            return 0


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
