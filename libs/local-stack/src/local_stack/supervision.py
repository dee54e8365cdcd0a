"""Runs programs under supervisord: they are restarted when they die, and end with this process.

supervisord gets SIGTERM when this process dies, also by SIGKILL, and then stops its programs in order. They in turn get
a signal when supervisord dies.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from local_stack.errors import StartFailed
from local_stack.processes import ProcessMark
from local_stack.stack_events import Report, StackEvent
from local_stack.supervisor_config import Program, RunFolder, child_command, render, write_private, write_spec

_MAX_SOCKET_PATH = 90  # bytes; the limit of Linux is 107, and supervisord first binds a longer name beside it
_WATCH_EVERY = 0.3  # seconds
_START_TIMEOUT = 30.0  # seconds
_TAIL_LINES = 15
_RPC_ERRORS = (OSError, http.client.HTTPException, xmlrpc.client.Error)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One supervised process. `pid` is None while it is down; `state` is the state of supervisord in lower case."""

    name: str
    pid: int | None
    state: str
    restarts: int


class Supervisor:
    """Programs under one supervisord. Thread-safe."""

    def __init__(self, folder: RunFolder, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._programs: dict[str, Program] = {}
        self._status: dict[str, ServiceStatus] = {}
        self._last_pid: dict[str, int] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._expected: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._spawned = threading.Event()
        # The death signal is sent when the spawning thread ends, not its process, so this thread stays to the end.
        self._watcher = threading.Thread(target=self._watch, name="local-stack-watcher", daemon=True)
        self._socket = folder.run / "supervisor.sock"
        self._short: Path | None = None

    def start(self) -> None:
        """Start supervisord and wait until it answers. Raises StartFailed."""
        self._folder.run.mkdir(parents=True, exist_ok=True)
        self._folder.run.chmod(0o700)
        self._folder.logs.mkdir(parents=True, exist_ok=True)
        if len(str(self._socket)) > _MAX_SOCKET_PATH:
            self._short = Path(tempfile.mkdtemp(prefix="jobtrail-"))
            self._socket = self._short / "supervisor.sock"
        self._watcher.start()
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if self._spawned.is_set():
                try:
                    self._rpc().getState()
                except _RPC_ERRORS:
                    # Not up yet.
                    self._stopping.wait(0.03)
                    continue
                return
            self._spawned.wait(0.1)
        raise StartFailed(f"The supervisor did not start; see {self._folder.log('supervisor')}.")

    def add(self, programs: list[Program]) -> None:
        """Start new programs."""
        with self._lock:
            for program in programs:
                write_spec(self._folder, program)
                self._programs[program.name] = program
            self._write_config()
            self._rpc().reloadConfig()
            for program in programs:
                self._expected.add(program.name)
                self._rpc().addProcessGroup(program.name)
        self._refresh()

    def remove(self, names: list[str]) -> None:
        """Stop programs together and remove them; each has its `stop_seconds` before a SIGKILL."""
        with self._lock:
            names = [name for name in names if name in self._programs]
            self._expected -= set(names)
            grace = max((self._programs[name].stop_seconds for name in names), default=0) + 10
            for name in names:
                self._rpc().stopProcessGroup(name, False)
            deadline = time.monotonic() + grace
            pending = set(names)
            while pending and time.monotonic() < deadline:
                infos = {info["name"]: info for info in self._infos()}
                pending = {name for name in pending if infos[name]["pid"]}
                if pending:
                    self._stopping.wait(0.1)
            for name in names:
                self._rpc().removeProcessGroup(name)
                self._folder.spec(name).unlink(missing_ok=True)
                del self._programs[name]
                self._status.pop(name, None)
                self._last_pid.pop(name, None)
            self._write_config()

    def names(self) -> list[str]:
        """The programs, in the order they were added."""
        with self._lock:
            return list(self._programs)

    def statuses(self) -> list[ServiceStatus]:
        """The present status of all programs."""
        self._refresh()
        with self._lock:
            return [self._status[name] for name in self._programs if name in self._status]

    def tail(self, name: str) -> str:
        """The last lines of a program's log."""
        log = self._folder.log(name)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_TAIL_LINES:])

    def failing(self, name: str) -> bool:
        """Whether a program died so soon that the supervisor waits before it starts it again."""
        return any(status.name == name and status.state == "backoff" for status in self.statuses())

    def stop(self) -> None:
        """End all programs, the later ones first, and the supervisor."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            grace = sum(program.stop_seconds for program in self._programs.values()) + 10
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._watcher.is_alive():
            self._watcher.join()
        for name in self._programs:
            self._folder.spec(name).unlink(missing_ok=True)
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)

    def _write_config(self) -> None:
        write_private(self._folder.config, render(self._folder, self._socket, list(self._programs.values())))

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _infos(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._rpc().getAllProcessInfo())

    def _spawn(self) -> None:
        """Start supervisord in a session of its own, so that Ctrl-C in the terminal reaches only this process."""
        with self._lock:
            self._write_config()
        spec = self._folder.spec("supervisor")
        argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self._folder.config)]
        write_private(spec, json.dumps({"argv": argv, "env": {}, "death_signal": "SIGTERM"}))
        with self._folder.log("supervisor-output").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is a constant
                child_command(spec),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        mark = ProcessMark.of(self._process.pid)
        if mark is not None:
            write_private(self._folder.run / "supervisor.mark", json.dumps(asdict(mark)))
        self._spawned.set()

    def _watch(self) -> None:
        self._spawn()
        while not self._stopping.wait(_WATCH_EVERY):
            process = self._process
            if process is not None and process.poll() is not None:
                self._report(StackEvent("died", "supervisor", "The supervisor died; all programs are started again"))
                self._spawn()
            self._refresh()
        if self._process is not None:
            self._process.wait()

    def _refresh(self) -> None:
        """Compare the supervisor's list with the last one and report what changed."""
        with self._lock:
            try:
                infos = self._infos()
            except _RPC_ERRORS:
                # The supervisor itself starts or ends; the watcher handles both.
                return
            events = [event for info in infos for event in self._update(info)]
        for event in events:
            self._report(event)

    def _update(self, info: dict[str, Any]) -> list[StackEvent]:
        name, pid, state = str(info["name"]), int(info["pid"]) or None, str(info["statename"]).lower()
        old = self._status.get(name)
        last_pid = self._last_pid.get(name)
        restarted = pid is not None and last_pid is not None and pid != last_pid
        restarts = (old.restarts if old else 0) + (1 if restarted else 0)
        self._status[name] = ServiceStatus(name, pid, state, restarts)
        if pid is not None:
            self._last_pid[name] = pid
        if name not in self._expected or self._stopping.is_set():
            return []
        if restarted:
            return [
                StackEvent("restarted", name, f"{name} died (process {last_pid}) and was restarted as process {pid}")
            ]
        if pid is None and old is not None and old.pid is not None:
            return [StackEvent("died", name, f"{name} died (process {old.pid}); it will be restarted")]
        return []
