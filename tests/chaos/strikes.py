"""Two kills and two pauses of each worker that runs a job, while chains run."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psycopg
from tests.chaos.processes import kill
from tests.chaos.result import describe_error
from tests.chaos.waiting import wait_for
from tests.chaos.worker_verdict import AGENT, KILL, PAUSE, RESUMED, WORKERS, Strike

from jobtrail.system import System

_KILLS_EACH = 4  # then the chains are left alone, so that they end
_BUSY = "SELECT job_id, lease_owner FROM {schema}.inbox WHERE state = 'running' AND lease_until > now()"
_OWNER = "SELECT lease_owner FROM {schema}.inbox WHERE job_id = %s"


class _Lease(NamedTuple):
    """A running job, and the process that runs it."""

    service: str
    job_id: str
    owner: str

    @property
    def pid(self) -> int:
        """`lease_owner` is HOST:PID:TOKEN."""
        return int(self.owner.split(":")[-2])


class Striker:
    """Strikes until the chains are over.

    - Every worker is killed some times; the supervisor starts it again.
    - Of each service that owns jobs one process is paused until another has taken over its job.
    - The matcher's agents are paused from the beginning until a matcher was paused and killed: with their help its
      jobs are over too soon for that. Once they go on with what has piled up, one of them is killed.
    """

    def __init__(self, system: System, chance: random.Random, say: Callable[[str], None]) -> None:
        self.strikes: list[Strike] = []
        self.problems: list[str] = []
        self._system, self._chance, self._say = system, chance, say
        self._over = threading.Event()
        self._paused: set[int] = set()
        self._lock = threading.Lock()  # between choosing whom to strike and having struck

    @contextmanager
    def striking(self) -> Iterator[None]:
        """Strike from other threads while the block runs; in the end all processes work again."""
        action = [self._kill_some, self._pause_agents]
        with ThreadPoolExecutor(len(action) + len(RESUMED), "strike") as threads:
            running = [threads.submit(action) for action in action]
            running += [threads.submit(self._pause_one, service) for service in RESUMED]
            try:
                yield
            finally:
                self._over.set()
                errors = [error for each in running if (error := each.exception()) is not None]
                self.problems += [f"striking stopped: {describe_error(error)}" for error in errors]

    def _kill_some(self) -> None:
        left = [*WORKERS] * _KILLS_EACH
        self._chance.shuffle(left)
        while left and not self._over.wait(self._chance.uniform(0.2, 1.5)):
            with self._lock:
                at_work = self._leases()
                victims = {name: self._victims(name, at_work) for name in left}
                worker = next((name for name in left if victims[name]), None)
                if worker is not None and self._kill(worker, self._chance.choice(victims[worker])):
                    left.remove(worker)

    def _victims(self, worker: str, at_work: list[_Lease]) -> list[int]:
        """Processes of this worker that run a job."""
        if worker != AGENT:
            return [lease.pid for lease in at_work if lease.service == worker]
        waited_for = any(lease.service == "matcher" for lease in at_work)
        return [pid for pid in self._pids(AGENT) if pid not in self._paused] if waited_for else []

    def _kill(self, worker: str, pid: int) -> bool:
        began = time.time()
        done = kill(pid)
        if done:
            self._struck(worker, KILL, began)
        return done

    def _pause_one(self, service: str) -> None:
        """Pause a process of this service at its work; another, where the job had ended just before."""
        while not self._over.wait(0.1):
            with self._lock:
                lease = next((lease for lease in self._leases() if lease.service == service), None)
                began = time.time()
                paused = lease is not None and self._stop(lease.pid)
            if lease is not None and paused and self._taken_over(lease):
                self._struck(service, PAUSE, began)
                return

    def _taken_over(self, lease: _Lease) -> bool:
        """Let the paused process go on once another runs its job. False where the job was over already."""
        try:
            if self._owner(lease) != lease.owner:
                return False
            wait_for(lambda: self._owner(lease) != lease.owner, f"another {lease.service} to run {lease.job_id}")
            return self._owner(lease) is not None
        finally:
            self._go_on(lease.pid)

    def _pause_agents(self) -> None:
        began, pids = time.time(), [pid for pid in self._pids(AGENT) if self._stop(pid)]
        try:
            wait_for(
                lambda: self._over.is_set() or {("matcher", KILL), ("matcher", PAUSE)} <= self._done(),
                "a kill and a pause of the matcher",
            )
        finally:
            for pid in pids:
                self._go_on(pid)
        self._struck(AGENT, PAUSE, began)
        with self._lock:
            self._kill(AGENT, self._chance.choice(pids))

    def _stop(self, pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return False
        self._paused.add(pid)
        return True

    def _go_on(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._paused.discard(pid)

    def _struck(self, worker: str, action: str, began: float) -> None:
        self.strikes.append(Strike(worker, action, began, time.time()))
        self._say(f"{action} {worker}")

    def _done(self) -> set[tuple[str, str]]:
        return {(strike.worker, strike.action) for strike in self.strikes}

    def _pids(self, worker: str) -> list[int]:
        """Of its processes that run, paused ones included."""
        statuses = self._system.stack.services()
        return [s.pid for s in statuses if s.name in (worker, second(worker)) and s.pid is not None]

    def _leases(self) -> list[_Lease]:
        """The jobs that processes run at this moment, paused ones aside; none while PostgreSQL has no answer."""
        try:
            with psycopg.connect(self._system.running.database) as connection:
                leases = [
                    _Lease(service, *row)
                    for service in RESUMED
                    if connection.execute("SELECT to_regclass(%s)", [f"{service}.inbox"]).fetchone() != (None,)
                    for row in connection.execute(_BUSY.format(schema=service)).fetchall()
                ]
        except psycopg.OperationalError:
            return []
        return [one for one in leases if one.pid in self._pids(one.service) and one.pid not in self._paused]

    def _owner(self, lease: _Lease) -> str | None:
        with psycopg.connect(self._system.running.database) as connection:
            found = connection.execute(_OWNER.format(schema=lease.service), [lease.job_id]).fetchone()
        return found[0] if found else None


def second(worker: str) -> str:
    """The name of a worker's second process."""
    return f"{worker}-too"
