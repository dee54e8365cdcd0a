"""The supervisor's configuration file and the spec files of what it runs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from local_stack import child_process
from local_stack.postgres_user import User

# A program that dies sooner has failed to start; supervisord waits one second longer after each failed start in a row.
START_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process. It gets `death_signal` when the supervisor itself is killed."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict[str, str])
    user: User | None = None
    cwd: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    death_signal: str = "SIGKILL"
    stale_pid_file: Path | None = None
    priority: int = 500


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one running stack, under data_dir/run, and its logs, under data_dir/logs."""

    data_dir: Path

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def pid_file(self) -> Path:
        return self.run / "supervisord.pid"

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self.logs / f"{name}.log"

    def spec(self, name: str) -> Path:
        """The spec file of one program."""
        return self.run / f"{name}.json"


def child_command(spec: Path) -> list[str]:
    """The command that becomes the program of a spec file. -I keeps this folder's modules off its path."""
    return [sys.executable, "-I", "-S", child_process.__file__, str(spec)]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: an environment may hold secrets."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def write_spec(folder: RunFolder, program: Program) -> None:
    """Write the spec file that `child_process` reads."""
    spec = {
        "argv": program.argv,
        "env": program.env,
        "cwd": str(program.cwd) if program.cwd else None,
        "user": [program.user.uid, program.user.gid] if program.user else None,
        "death_signal": program.death_signal,
        "parent_file": str(folder.pid_file),
        "stale_pid_file": str(program.stale_pid_file) if program.stale_pid_file else None,
    }
    write_private(folder.spec(program.name), json.dumps(spec))


def render(folder: RunFolder, socket: Path, programs: list[Program]) -> str:
    """The whole configuration file."""
    sections = {
        "supervisord": {
            "nodaemon": "true",
            "silent": "true",
            "logfile": _text(folder.logs / "supervisor.log"),
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "pidfile": _text(folder.pid_file),
            "nocleanup": "true",
            # supervisord closes this many descriptors in every child; the default is 1024.
            "minfds": "256",
        },
        "unix_http_server": {"file": _text(socket), "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    sections |= {f"program:{program.name}": _program(folder, program) for program in programs}
    return "\n".join(
        "\n".join([f"[{title}]", *(f"{key}={value}" for key, value in body.items()), ""])
        for title, body in sections.items()
    )


def _program(folder: RunFolder, program: Program) -> dict[str, str]:
    return {
        "command": shlex.join(_text(word) for word in child_command(folder.spec(program.name))),
        "priority": str(program.priority),
        "autostart": "true",
        "autorestart": "true",
        "startsecs": str(START_SECONDS),
        # Retry for ever: the servers that it needs may come back.
        "startretries": "1000000",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _text(folder.log(program.name)),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "1",
    }


def _text(value: Path | str) -> str:
    """Escape percent signs, which the file format interpolates."""
    return str(value).replace("%", "%%")
