"""Processes by pid and start time: a reused pid is never taken for the process that had it before."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

_SAME_START = 2.0  # seconds; psutil's start times move a little with the clock
_KILLED = 5.0  # seconds that a SIGKILL may take
_POLL = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process for all time: its pid and when it started (unix seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The mark of a living process, None if there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    @classmethod
    def own(cls) -> ProcessMark:
        """The mark of this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still lives (a zombie doesn't)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def end(marks: list[ProcessMark], grace: float) -> list[ProcessMark]:
    """SIGTERM all, SIGKILL those that still live after `grace` seconds. Those that lived when asked."""
    asked = [mark for mark in marks if mark.process()]
    stubborn = asked
    for kill, seconds in ((False, grace), (True, _KILLED)):
        for process in filter(None, (mark.process() for mark in stubborn)):
            _signal(process, kill=kill)
        stubborn = _wait(stubborn, seconds)
    return asked


def _wait(marks: list[ProcessMark], seconds: float) -> list[ProcessMark]:
    """Those that still live after `seconds`. A zombie has ended: its parent may be the one that waits for us."""
    deadline = time.monotonic() + seconds
    while (living := [mark for mark in marks if mark.process()]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return living


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
