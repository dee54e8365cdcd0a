"""Becomes another program that ends with its parent. Run as a script: child_process.py SPEC.json

Imports only the standard library and nothing of this package, so it starts in a few hundredths of a second.
The spec file (readable by its owner only, as `env` may hold secrets) has: argv; env (added to the own one);
and, each may be missing: cwd; user [uid, gid]; death_signal (sent when the parent dies; Linux only);
parent_file (holds the pid that the parent must have); stale_pid_file (a PostgreSQL lock to drop if nobody
holds it).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def drop_stale_lock(lock: Path) -> None:
    """Remove a PostgreSQL lock file whose pid is dead or, after a reboot or a wrap-around, another program's."""
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        command = b""
    ours = str(lock.parent).encode() in command.split(b"\0")
    if Path("/proc/self").exists() and not ours:
        lock.unlink(missing_ok=True)


def end_with_parent(number: int, expected: int) -> None:
    """Make the kernel send signal `number` when the parent dies; exit if it is dead already."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != expected:
        sys.exit("the parent has died already")


def main(spec_file: str) -> None:
    """Read the spec and become its program. Never returns."""
    spec = json.loads(Path(spec_file).read_text())
    if spec.get("stale_pid_file"):
        drop_stale_lock(Path(spec["stale_pid_file"]))
    # Read before the rights are dropped; prctl comes after, because a change of user clears the death signal.
    parent = int(Path(spec["parent_file"]).read_text()) if spec.get("parent_file") else os.getppid()
    if spec.get("user"):
        uid, gid = spec["user"]
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if spec.get("death_signal") and sys.platform == "linux":
        end_with_parent(signal.Signals[spec["death_signal"]].value, parent)
    if spec.get("cwd"):
        os.chdir(spec["cwd"])
    argv: list[str] = spec["argv"]
    os.execvpe(argv[0], argv, {**os.environ, **spec["env"]})  # noqa: S606 - argv comes from our own spec file


if __name__ == "__main__":
    main(sys.argv[1])
