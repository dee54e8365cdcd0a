"""Processes that an earlier run left: the holder of a data folder, and how to end it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import psutil

from local_stack.processes import ProcessMark, end
from local_stack.supervisor_config import RunFolder, write_private

_HOLDER = "holder.mark"
_SUPERVISOR = "supervisor.mark"
_DOWN = "down.mark"
# seconds: the supervisor stops its programs one after the other, the services first (Program.stop_seconds).
_GRACE = 90.0


def note_holder(folder: RunFolder) -> None:
    """Record that this process holds the data folder."""
    folder.run.mkdir(parents=True, exist_ok=True)
    (folder.run / _DOWN).unlink(missing_ok=True)
    write_private(folder.run / _HOLDER, json.dumps(asdict(ProcessMark.own())))


def forget(folder: RunFolder) -> None:
    """Remove the records after a clean end."""
    for name in (_HOLDER, _SUPERVISOR, _DOWN):
        (folder.run / name).unlink(missing_ok=True)


def holder(folder: RunFolder) -> ProcessMark | None:
    """The process that holds the data folder, if it is recorded."""
    return _read(folder.run / _HOLDER)


def is_ended_by_down(folder: RunFolder) -> bool:
    """Whether `down` ends this process."""
    mark = _read(folder.run / _DOWN)
    return mark is not None and mark.pid == os.getpid() and mark.process() is not None


def _read(path: Path) -> ProcessMark | None:
    try:
        mark = json.loads(path.read_text())
        return ProcessMark(int(mark["pid"]), float(mark["started"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def end_orphans(folder: RunFolder) -> list[str]:
    """End the supervisor of a dead holder and its programs; returns a sentence for each that still ran."""
    mark = _read(folder.run / _SUPERVISOR)
    process = mark.process() if mark else None
    if mark is None or process is None:
        return []
    children = _descendants(process)
    end([mark], _GRACE)
    end(children, 10)
    return [f"Ended the supervisor (process {mark.pid}) with {len(children)} processes that an earlier run left."]


def _descendants(process: psutil.Process) -> list[ProcessMark]:
    try:
        return [mark for child in process.children(recursive=True) if (mark := ProcessMark.of(child.pid))]
    except psutil.NoSuchProcess:
        return []


def down(data_dir: Path) -> list[str]:
    """End what a LocalStack on this folder left running, its holder included.

    Returns a sentence for each thing ended; empty if nothing ran. A pid that now belongs to another program
    (its start time differs) is left alone.
    """
    folder = RunFolder(data_dir.resolve())
    ended: list[str] = []
    mark = holder(folder)
    supervisor = _read(folder.run / _SUPERVISOR)
    process = supervisor.process() if supervisor else None
    children = _descendants(process) if process else []
    if mark is not None and mark != ProcessMark.own() and mark.process() is not None:
        write_private(folder.run / _DOWN, json.dumps(asdict(mark)))
        end([mark], _GRACE)
        ended.append(f"Ended process {mark.pid}, which held {data_dir}, and what it ran.")
    ended += end_orphans(folder)
    end(children, 10)
    forget(folder)
    return ended
