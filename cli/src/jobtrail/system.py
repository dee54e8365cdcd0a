"""The whole system on one machine: starts the servers and every process, and waits until they are ready."""

import os
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from filelock import FileLock, Timeout

from jobtrail.errors import UserError
from jobtrail.home import Home, Ports, Running, kafka_of
from local_stack import LocalStack, ServiceSpec, StackEvent, free_port, is_free
from service_kit.database import instances_at_work, watched
from service_kit.errors import KafkaUnreachable
from service_kit.kafka_admin import group_members
from service_kit.kafka_diagnosis import quiet_config, reach
from service_kit.kafka_security import KafkaConnection
from service_kit.processes import API, PROCESSES, SANDBOX, Process

READY_SECONDS = 180.0
# Long: librdkafka 2.16 aborts the process when the answer to a group request arrives just at its timeout.
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class System:
    """A running system."""

    running: Running
    stack: LocalStack


@contextmanager
def running_system(home: Home, ports: Ports, report: Callable[[StackEvent], None]) -> Generator[System, None, None]:
    """Start everything; end everything after the block.

    Raises:
        StackError, UserError: a port is taken or a part did not start; one sentence each.
    """
    chosen = [port for port in (ports.api, ports.sandbox, ports.kafka, ports.postgres) if port is not None]
    for port in chosen:
        if chosen.count(port) > 1:
            raise UserError(f"Port {port} is given twice: each part needs its own port.")
    protocol = "PLAINTEXT"
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        protocol = home.kafka().security.protocol
    with ExitStack() as reserved:
        api_port = _port(reserved, "the API", ports.api, API.port)
        sandbox_port = _port(reserved, "the sandbox", ports.sandbox, SANDBOX.port)
        stack = reserved.enter_context(
            LocalStack(home.folder, kafka_port=ports.kafka, postgres_port=ports.postgres, report=report)
        )
        running = Running(
            api=f"http://127.0.0.1:{api_port}",
            sandbox=f"http://127.0.0.1:{sandbox_port}",
            kafka=stack.bootstrap_servers,
            database=stack.database_url,
            kafka_protocol=protocol,
        )
        _check_servers(running, stack)
        stack.start_services(services(running, home))
        stack.wait_ready(READY_SECONDS)
        home.note_running(running)
        try:
            yield System(running, stack)
        finally:
            home.forget_running()


def services(running: Running, home: Home) -> list[ServiceSpec]:
    """Every process of `service_kit.processes`, with its environment and how it shows that it is ready."""
    kafka = kafka_of(running)
    env = {
        **kafka.environment(),
        "DATABASE_URL": running.database,
        "JOBTRAIL_SECRET_KEY": home.secret_key(),
        "JOBTRAIL_API_HOST": "127.0.0.1",
        "JOBTRAIL_API_PORT": running.api.rpartition(":")[2],
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",  # their logs may hold letters that this terminal does not have
    }
    addresses = {API.name: running.api, SANDBOX.name: running.sandbox}

    def argv(process: Process) -> list[str]:
        port = addresses[process.http.name].rpartition(":")[2] if process.http else ""
        options = [option.format(port=port, state=home.folder / process.name) for option in process.options]
        return [sys.executable, "-m", *process.command, *options]

    def ready(process: Process) -> Callable[[], bool] | None:
        if process.http is not None:
            return _answers(addresses[process.http.name] + process.http.health)
        if process.view is not None:
            return _works(running.database, process.view)
        return _joined(kafka, process.group) if process.group is not None else None

    return [ServiceSpec(process.name, argv(process), env, ready(process)) for process in PROCESSES]


def _check_servers(running: Running, stack: LocalStack) -> None:
    """Connect to external servers first; otherwise a refused login is only found in the log of each service.

    Raises:
        UserError: one does not answer, or refuses the login.
    """
    own = {status.name for status in stack.services()}
    try:
        if "kafka" not in own:
            with reach(kafka_of(running), ANSWER_SECONDS):
                pass
        if "postgres" not in own:
            psycopg.connect(watched(running.database)).close()
    except KafkaUnreachable as error:
        raise UserError(str(error)) from None
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL: {' '.join(str(error).split())}") from None


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(url, timeout=2).status_code == 200
        return False

    return ask


def _joined(kafka: KafkaConnection, group: str) -> Callable[[], bool]:
    """Ready once the group has a member: a process takes seconds from its start to its subscription."""

    def ask() -> bool:
        # A new client for each check: closing a client whose broker is gone may hang for ever.
        with suppress(KafkaException), AdminClient(quiet_config(kafka)) as admin:
            return group_members(admin, group, ANSWER_SECONDS) > 0
        return False

    return ask


def _works(database: str, view: str) -> Callable[[], bool]:
    """Ready once the view has a row."""

    def ask() -> bool:
        with suppress(psycopg.Error):
            return instances_at_work(database, view) > 0
        return False

    return ask


def _port(reserved: ExitStack, what: str, given: int | None, default: int) -> int:
    """The given port, else the default port, else any free port.

    The default port is locked while the system runs: otherwise two systems that start at the same time could both find
    it free, and one would connect to the API of the other.
    """
    if given is not None:
        if not is_free(given):
            raise UserError(f"Port {given} for {what} is taken: end the program that uses it, or choose another port.")
        return given
    lock = FileLock(Path(tempfile.gettempdir()) / f"jobtrail-port-{default}-{os.getuid()}.lock", timeout=0)
    try:
        reserved.enter_context(lock)
    except Timeout:
        return free_port()
    return default if is_free(default) else free_port()
