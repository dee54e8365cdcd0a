"""The tracker's processes, started, killed, paused and restarted as by a supervisor, with their logs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.chaos.result import describe_error

GRACE = 120.0  # seconds a process has after SIGTERM; on a full machine too
_LOOK_EVERY = 0.05  # seconds
# Of what each part reads, the topic that has news all the time, so that its next commit tells of recovery.
BUSY_TOPICS = {"projector": "jobs.events", "items": "jobs.items"}
REFUSED = 3  # the exit code of a projector that people must help
KILLS_ITSELF = "kills itself"  # logged by a process before it kills itself
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Death:
    """A process that a fault has killed: when (monotonic seconds), at which named point if it killed itself there.

    `held` are the partitions of its busy topic.
    """

    at: float
    member: str
    pid: int
    point: str | None
    held: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Continued:
    """The log of a process after SIGCONT: from `start` (bytes) on."""

    log: Path
    start: int

    def refused(self, held: Collection[tuple[str, int]]) -> int:
        """Batches that the compare-and-set refused since, of partitions that were `held` before."""
        return sum(
            line.get("event") == "fenced: another owner has moved the positions"
            and any((topic, number) in held for topic, number in line["partitions"])
            for line in said(self.log, self.start)
        )

    def began_anew(self) -> bool:
        """Whether it was given partitions since, or none; what it had in hand before has had its answer then."""
        return any(line.get("event") == "assigned" for line in said(self.log, self.start))


@dataclass(slots=True)
class Member:
    """One process under a stable name, started again whenever it dies. `part` is the tracker's own word for it."""

    name: str
    part: str
    folder: Path
    environment: dict[str, str]
    wanted: bool = True
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    doomed: int | None = None  # the process that was sent SIGKILL

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.{self.starts}.log"

    @property
    def control(self) -> Path:
        return self.folder / f"{self.name}.control"

    def start(self) -> None:
        self.starts += 1
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.tracker_process", self.part],
                cwd=ROOT,
                env=self.environment | {"CHAOS_CONTROL": str(self.control)},
                stdout=out,
                stderr=out,
            )

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> int | None:
        """SIGKILL; the process that it was sent to, None where there is none."""
        process = self.process
        if process is None or process.poll() is not None:
            return None
        self.doomed = process.pid
        process.kill()
        return process.pid

    def arm(self, action: str, point: str) -> None:
        """Make the process `kill` or `stop` itself when it next reaches the point."""
        part = self.control.with_suffix(".part")
        part.write_text(f"{action} {point}")
        part.rename(self.control)

    def armed(self) -> bool:
        return self.control.exists()

    def disarm(self) -> bool:
        """Cancel the action; False if the process has already taken it, or there was none."""
        try:
            self.control.unlink()
        except FileNotFoundError:
            return False
        return True

    def is_stopped(self) -> bool:
        try:
            return self.process is not None and psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    def resume(self) -> Continued:
        """Continue a stopped process."""
        continued = Continued(self.log, self.log.stat().st_size)
        self.signal(signal.SIGCONT)
        return continued

    def held(self) -> frozenset[tuple[str, int]]:
        """The partitions that are assigned to it, by its own log."""
        held: set[tuple[str, int]] = set()
        for line in said(self.log):
            if line.get("event") == "assigned":
                held |= {_partition(name) for name in line["positions"]}
            elif line.get("event") == "revoked":
                held -= {_partition(name) for name in line["partitions"]}
        return frozenset(held)

    def busy(self) -> frozenset[tuple[str, int]]:
        """The assigned partitions that receive records all the time."""
        topic = BUSY_TOPICS.get(self.part)
        return frozenset(partition for partition in self.held() if topic and partition[0].endswith(topic))


def said(log: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """The structured lines of a log, from `start` (bytes) on."""
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # cut short by a kill


def _partition(name: str) -> tuple[str, int]:
    topic, _, number = name.rpartition("[")
    return topic, int(number.rstrip("]"))


class Fleet:
    """All members, and a thread that restarts the dead ones."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self._environment = folder, environment
        self.members: list[Member] = []
        self.deaths: list[Death] = []
        self.problems: list[str] = []
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._minder = threading.Thread(target=self._mind, name="minder of the members", daemon=True)
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, parts: dict[str, int]) -> None:
        """Start this many members of each part at once and supervise them."""
        for part, count in parts.items():
            for _ in range(count):
                self.join(part)
        self._minder.start()

    def join(self, part: str) -> Member:
        with self._lock:
            number = sum(member.part == part for member in self.members) + 1
            member = Member(f"{part}-{number}", part, self.folder, self._environment)
            member.start()
            self.members.append(member)
            return member

    def leave(self, member: Member) -> None:
        """Send SIGTERM; the process must exit within the grace period."""
        member.wanted = False
        process = member.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
            self.problems.append(f"I12: {member.name} did not end within {GRACE:.0f} s of SIGTERM")
            return
        # Before a projector listens to signals, SIGTERM is the end without a word. The API ends by it when all is done.
        begun = any(line.get("event") == "assigned" for line in said(member.log))
        if code != 0 and (code != -signal.SIGTERM or begun):
            self.problems.append(f"I12: {member.name} ended with {code} on SIGTERM: {tail(member.log)}")

    def of(self, part: str) -> list[Member]:
        """The wanted members of a part that are not paused."""
        with self._lock:
            found = [member for member in self.members if member.part == part and member.wanted]
        return [member for member in found if not member.is_stopped()]

    def everybody(self) -> list[Member]:
        with self._lock:
            return [member for member in self.members if member.wanted]

    def close(self) -> None:
        """End all members in order, side by side."""
        self._closing.set()
        if self._minder.is_alive():
            self._minder.join()
        going = self.everybody()
        for member in going:
            member.disarm()
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        for member in going:
            self.leave(member)

    def kill_all(self) -> None:
        """Kill all members after a failure."""
        self._closing.set()
        for member in self.members:
            member.wanted = False
            if member.process is not None and member.process.poll() is None:
                member.process.kill()
                member.process.wait()

    def death_of(self, pid: int) -> Death | None:
        """The death of this process, once it was seen and the next one runs in its place."""
        with self._lock:
            return next((death for death in self.deaths if death.pid == pid), None)

    def _mind(self) -> None:
        try:
            while not self._closing.wait(_LOOK_EVERY):
                with self._lock:
                    for member in self.members:
                        process = member.process
                        if member.wanted and process is not None and process.poll() is not None:
                            self._bury(member, process)
                            member.start()
        except Exception as error:
            self.problems.append(f"the supervision of the members failed: {describe_error(error)}")

    def _bury(self, member: Member, process: subprocess.Popen[bytes]) -> None:
        code = process.returncode
        if code == -signal.SIGKILL:
            points = [line["point"] for line in said(member.log) if line.get("event") == KILLS_ITSELF]
            if points or member.doomed == process.pid:
                point = points[-1] if points else None
                self.deaths.append(Death(time.monotonic(), member.name, process.pid, point, member.busy()))
            else:
                self.problems.append(f"{member.name} was killed, and not by a fault: is there memory enough?")
        elif code == REFUSED:
            self.problems.append(f"{member.name} refused to go on: {tail(member.log)}")
            self._closing.wait(1)  # it may do so again at once
        else:
            self._closing.wait(1)
            self.problems.append(f"{member.name} ended by itself with {code}: {tail(member.log)}")


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def environment(bootstrap_servers: str, database_url: str, prefix: str, **more: str) -> dict[str, str]:
    """What a member's process reads."""
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "DATABASE_URL": database_url,
        "JOBTRAIL_TOPIC_PREFIX": prefix,
        "PYTHONFAULTHANDLER": "1",  # who does not end is aborted, and says where it stood
        **more,
    }
