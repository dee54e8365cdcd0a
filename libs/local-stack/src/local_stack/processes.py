"""Processes by pid and start time, so that a reused pid is not taken for its former process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

_SAME_START = 2.0  # seconds; psutil's start times shift a little with the clock
_KILLED = 5.0  # seconds for a SIGKILL to take effect
_POLL = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """The identity of a process: its pid and its start time (unix seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The mark of a running process; None if there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    @classmethod
    def own(cls) -> ProcessMark:
        """The mark of this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def end(marks: list[ProcessMark], grace: float) -> list[ProcessMark]:
    """Send SIGTERM, and SIGKILL to those that still run after `grace` seconds; returns those that ran at first."""
    running = [mark for mark in marks if mark.process()]
    remaining = running
    for kill, seconds in ((False, grace), (True, _KILLED)):
        for process in filter(None, (mark.process() for mark in remaining)):
            _signal(process, kill=kill)
        remaining = _wait(remaining, seconds)
    return running


def _wait(marks: list[ProcessMark], seconds: float) -> list[ProcessMark]:
    """Those that still run after `seconds`. A zombie has ended: its parent may be waiting for this process."""
    deadline = time.monotonic() + seconds
    while (living := [mark for mark in marks if mark.process()]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return living


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
