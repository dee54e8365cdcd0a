"""Processes by pid and start time: a reused pid is never taken for the process that had it before."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

_SAME_START = 2.0  # seconds; psutil's start times move a little with the clock


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
    living = [(mark, process) for mark in marks if (process := mark.process())]
    for _, process in living:
        _signal(process, kill=False)
    _, stubborn = psutil.wait_procs([process for _, process in living], timeout=grace)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=5)
    return [mark for mark, _ in living]


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
