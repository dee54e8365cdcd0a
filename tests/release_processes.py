"""Service processes of the present code or of an earlier commit."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLD_PROCESS = Path(__file__).parent / "acceptance" / "old_process.py"
PARTS: dict[str, tuple[str, ...]] = {
    "projector": ("job_tracker", "projector"),
    "items": ("job_tracker", "items"),
    "api": ("job_tracker", "api"),
    "puller": ("puller",),
    "matcher": ("matcher",),
    "agent": ("matcher", "agent"),
    "syncer": ("syncer",),
}
"""The arguments of `python -m`, by the name of the process."""
_END_SECONDS = 60.0


def export(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder. Needs a clone with history."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


class Release:
    """The processes of one version. tree: its source; None means the present code. `folder` takes the logs."""

    def __init__(self, name: str, tree: Path | None, env: Mapping[str, str], folder: Path) -> None:
        self._name, self._tree, self._folder = name, tree, folder
        self._env = {**os.environ, **env}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.pids: dict[int, str] = {}
        if tree is not None:
            sources = sorted([*tree.glob("libs/*/src"), *tree.glob("services/*/src")])
            self._env["PYTHONPATH"] = os.pathsep.join(map(str, sources))

    def __repr__(self) -> str:
        return self._name

    def start(self, *parts: str, **env: str) -> None:
        """Start processes. env: additional environment."""
        command = ["-m"] if self._tree is None else [str(OLD_PROCESS), str(self._tree)]
        for part in parts:
            with self.log(part).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, *command, *PARTS[part]],
                    env=self._env | env,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                )
            self._running[part] = process
            self.pids[process.pid] = part

    def log(self, part: str) -> Path:
        """The log file of a process."""
        return self._folder / f"{self._name}-{part}.log"

    def died(self) -> list[str]:
        """The processes that have exited, each with the end of its log."""
        return [
            f"{self._name} {part} ended with {process.returncode}: {self.log(part).read_text('utf-8')[-2000:]}"
            for part, process in self._running.items()
            if process.poll() is not None
        ]

    def end(self, *parts: str) -> None:
        """Send SIGTERM; each process must exit with status 0. (uvicorn raises the signal again.)"""
        ending = {part: self._running.pop(part) for part in parts}
        for process in ending.values():
            process.send_signal(signal.SIGTERM)
        for part, process in ending.items():
            status = process.wait(_END_SECONDS)
            assert status in {0, -signal.SIGTERM}, f"{self._name} {part} ended with {status}"

    def close(self) -> None:
        """End all running processes, with SIGKILL after a time-out."""
        deadline = time.monotonic() + _END_SECONDS
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
