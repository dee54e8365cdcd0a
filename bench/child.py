"""A child process that is measured, with its own log file."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_GRACE = 30.0  # seconds between SIGTERM and SIGKILL


class Child:
    """One process with exactly this environment; its output goes to `log`."""

    def __init__(self, argv: list[str], environment: dict[str, str], log: Path, folder: Path | None = None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - commands of our own making
                argv, env=environment, stdout=out, stderr=out, cwd=folder, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise RuntimeError with the end of the log if the process has exited."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._log.stem} exited with {self._process.returncode}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def peak_bytes(self) -> int:
        """Its peak memory so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def end(self) -> None:
        """Send SIGTERM, after a grace period SIGKILL to it and its children."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
