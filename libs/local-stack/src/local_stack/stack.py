"""The local stack: a real Kafka, a real PostgreSQL and services, started together and ended together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from filelock import FileLock, Timeout

from local_stack import kafka_server, postgres_server, stale_processes
from local_stack.certificates import make_certificates
from local_stack.errors import DataDirInUse, StartAborted, StartFailed
from local_stack.java_jars import kafka_jars
from local_stack.kafka_access import PROTOCOLS, KafkaUser, ProtectedListeners, make_scram_user
from local_stack.ports import asked_or_free, free_port
from local_stack.stack_events import EventKind, Report, StackEvent, silent
from local_stack.supervision import ServiceStatus, Supervisor
from local_stack.supervisor_config import Program, RunFolder

_READY_TIMEOUT = 120.0  # seconds; a start takes 4 s on a free machine
_POLL = 0.1  # seconds
_MAX_RESTARTS = 3  # of a service that was never ready
SERVERS = frozenset({"kafka", "postgres"})


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to run. `env` is added to the environment of this process.

    `wait_ready` calls `ready` until it returns True; without it a service is ready once its process runs.
    """

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict[str, str])
    ready: Callable[[], bool] | None = None


class EndedByDown(SystemExit):
    """`down` ends this process; uncaught, the exit status is that of a terminated process."""


class LocalStack:
    """A context manager: Kafka and PostgreSQL answer inside the block, and have ended after it.

    Data stays in `data_dir`. A server that KAFKA_BOOTSTRAP_SERVERS or DATABASE_URL names is used and not started.

    servers: which of the two to start.
    brokers: with three, Kafka is a cluster of the programs kafka-1 to kafka-3; `kafka_port` needs a single broker.
    kafka_user: a single broker has protected listeners besides the plain one; `protected` describes them.

    Raises:
        PortTaken, DataDirInUse, BadJar, StartFailed, StackError: each with one sentence for a person.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        kafka_port: int | None = None,
        postgres_port: int | None = None,
        report: Report = silent,
        servers: frozenset[str] = SERVERS,
        brokers: int = 1,
        kafka_user: KafkaUser | None = None,
    ) -> None:
        self._folder = RunFolder(data_dir.resolve())
        self._kafka_port = kafka_port
        self._postgres_port = postgres_port
        self._servers = servers
        self._brokers = brokers
        self._kafka_user = kafka_user
        self._report_to = report
        self._report_lock = threading.Lock()
        self._supervisor = Supervisor(self._folder, self._report)
        self._services: dict[str, ServiceSpec] = {}
        self._stop = threading.Event()
        self._lock = FileLock(self._folder.data_dir / "stack.lock", timeout=0)
        self._former_handler: Callable[[int, FrameType | None], object] | int | None = None
        self.bootstrap_servers: str = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        self.database_url: str = os.environ.get("DATABASE_URL", "")
        self.protected: ProtectedListeners | None = None

    def __enter__(self) -> LocalStack:
        self._folder.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_data_dir()
        self._catch_sigterm()
        try:
            for sentence in stale_processes.end_orphans(self._folder):
                self._emit("note", "stack", sentence)
            stale_processes.note_holder(self._folder)
            self._supervisor.start()
            self._start_servers()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def start_services(self, specs: list[ServiceSpec]) -> None:
        """Start services under the supervisor; their logs are data_dir/logs/NAME.log."""
        programs: list[Program] = []
        for spec in specs:
            programs.append(Program(spec.name, spec.argv, spec.env))
            self._services[spec.name] = spec
            self._emit("start", spec.name, f"Starting {spec.name}")
        self._supervisor.add(programs)

    def services(self) -> list[ServiceStatus]:
        """Everything that runs here, Kafka and PostgreSQL included."""
        return self._supervisor.statuses()

    def wait_ready(self, timeout: float) -> None:
        """Wait until every service is ready.

        Raises StartFailed, with the log's end, when one dies again and again, or after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        pending = list(self._services.values())
        while pending:
            statuses = self.services()
            for status in statuses:
                if status.restarts >= _MAX_RESTARTS and any(status.name == spec.name for spec in pending):
                    raise self._failed(status.name, f"{status.name} ends after every start.")
            running = {status.name for status in statuses if status.pid is not None}
            still = [spec for spec in pending if not self._is_ready(spec, running)]
            for spec in (spec for spec in pending if spec not in still):
                self._emit("ready", spec.name, f"{spec.name} is ready")
            pending = still
            if pending and time.monotonic() > deadline:
                names = [spec.name for spec in pending]
                raise self._failed(names[0], f"Not ready after {timeout:.0f} s: {', '.join(names)}.")
            if pending:
                self._stop.wait(_POLL)

    def stop_services(self) -> None:
        """Stop the services and leave Kafka and PostgreSQL running."""
        self._supervisor.remove(list(self._services))
        for name in self._services:
            self._emit("ended", name, f"{name} has ended")
        self._services.clear()

    @staticmethod
    def _is_ready(spec: ServiceSpec, running: set[str]) -> bool:
        return spec.name in running and (spec.ready is None or spec.ready())

    def _lock_data_dir(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            mark = stale_processes.holder(self._folder)
            raise DataDirInUse(self._folder.data_dir, mark.pid if mark else None) from None

    def _start_servers(self) -> None:
        starters: list[Callable[[], None]] = []
        # Ports first: a taken port is reported before anything is downloaded or created.
        if "kafka" in self._servers and not self.bootstrap_servers:
            port = asked_or_free("Kafka", self._kafka_port)
            ports = [port, *(free_port() for _ in range(1, self._brokers))]
            starters.append(lambda: self._start_kafka(ports))
        if "postgres" in self._servers and not self.database_url:
            postgres_port = asked_or_free("PostgreSQL", self._postgres_port)
            starters.append(lambda: self._start_postgres(postgres_port))
        with ThreadPoolExecutor(len(starters) or 1, thread_name_prefix="local-stack-start") as pool:
            futures: list[Future[None]] = [pool.submit(starter) for starter in starters]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                # After an error or Ctrl-C the start of the other server is given up.
                if not all(future.done() for future in futures) or any(f.exception() for f in futures):
                    self._stop.set()
        for error in sorted(filter(None, (future.exception() for future in futures)), key=_is_aborted):
            raise error

    def _start_kafka(self, ports: list[int]) -> None:
        jars = kafka_jars(self._report)
        names = ["kafka"] if len(ports) == 1 else [f"kafka-{number}" for number in range(1, len(ports) + 1)]
        if self._kafka_user is not None:
            self.protected = ProtectedListeners(
                {protocol: free_port() for protocol in PROTOCOLS},
                make_certificates(self._folder.data_dir / "certificates"),
                self._kafka_user,
            )
        cluster = [
            kafka_server.KafkaNode(number, self._folder.data_dir / name, port, free_port(), self.protected)
            for number, (name, port) in enumerate(zip(names, ports, strict=True), 1)
        ]
        programs: list[Program] = []
        for name, node in zip(names, cluster, strict=True):
            argv = kafka_server.prepare(
                node, cluster, jars, lambda name=name: self._emit("format", name, "Formatting Kafka's data folder")
            )
            self._emit("start", name, f"Starting Kafka on port {node.port}")
            programs.append(Program(name, argv, priority=100))
        self._supervisor.add(programs)
        self._await(names, lambda: kafka_server.answers(cluster, self._stop, 1))
        self.bootstrap_servers = servers = kafka_server.bootstrap_servers(cluster)
        if self.protected is not None:
            make_scram_user(servers, self.protected.user)
        self._emit("ready", "kafka", f"Kafka answers on {servers}")

    def _start_postgres(self, port: int) -> None:
        plan = postgres_server.prepare(
            self._folder.data_dir,
            port,
            lambda: self._emit("format", "postgres", "Creating PostgreSQL's data folder"),
        )
        self._emit("start", "postgres", f"Starting PostgreSQL on port {port}")
        # INT: fast shutdown; TERM would wait for clients to disconnect. QUIT: immediate shutdown.
        program = Program(
            "postgres",
            plan.argv,
            user=plan.user,
            cwd=Path("/"),
            stop_signal="INT",
            death_signal="SIGQUIT",
            stale_pid_file=plan.data / "postmaster.pid",
            priority=100,
        )
        self._supervisor.add([program])
        self._await(["postgres"], lambda: postgres_server.answers(port, plan.data, self._stop, 1))
        postgres_server.ensure_database(port)
        self.database_url = postgres_server.url(port)
        self._emit("ready", "postgres", f"PostgreSQL answers on port {port}")

    def _await(self, names: list[str], answers: Callable[[], bool]) -> None:
        """Wait until a server answers. Raises StartFailed when a program dies at its start or all takes too long."""
        deadline = time.monotonic() + _READY_TIMEOUT
        while not answers():
            if self._stop.is_set():
                raise StartAborted(f"The start of {' and '.join(names)} was given up.")
            failing = [name for name in names if self._supervisor.failing(name)]
            if failing or time.monotonic() > deadline:
                name = failing[0] if failing else names[0]
                raise self._failed(name, f"{name} did not start.")

    def _failed(self, name: str, sentence: str) -> StartFailed:
        return StartFailed(f"{sentence} The end of {self._folder.log(name)}:\n{self._supervisor.tail(name)}")

    def _close(self) -> None:
        self._stop.set()
        with ExitStack() as last:  # runs from the last callback to the first; a failure does not skip the others
            last.callback(self._restore_sigterm)
            last.enter_context(_signals_ignored())
            last.callback(self._lock.release)
            last.callback(stale_processes.forget, self._folder)
            last.callback(self._supervisor.stop)
            self._emit("note", "stack", "Ending everything")
        self._emit("ended", "stack", "Everything has ended")

    def _report(self, event: StackEvent) -> None:
        with self._report_lock:
            self._report_to(event)

    def _emit(self, kind: EventKind, service: str, message: str) -> None:
        self._report(StackEvent(kind, service, message))

    def _catch_sigterm(self) -> None:
        """Make SIGTERM leave the `with` block, unless the program handles SIGTERM itself."""
        if threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):
            self._former_handler = signal.signal(signal.SIGTERM, self._leave)

    def _restore_sigterm(self) -> None:
        if self._former_handler is not None and signal.getsignal(signal.SIGTERM) == self._leave:
            signal.signal(signal.SIGTERM, self._former_handler)

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        raise EndedByDown(128 + number) if stale_processes.is_ended_by_down(self._folder) else SystemExit(128 + number)


@contextmanager
def _signals_ignored() -> Generator[None]:
    """Ignore signals: a second Ctrl-C during the shutdown would leave processes running."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread() or None in former.values():
        yield
        return
    for number in former:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _is_aborted(error: BaseException) -> bool:
    return isinstance(error, StartAborted)
