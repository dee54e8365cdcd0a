"""The whole system on one machine: which processes there are, with which environment, and where they answer."""

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
from service_kit.database import watched
from service_kit.errors import KafkaUnreachable
from service_kit.kafka_admin import group_members
from service_kit.kafka_diagnosis import quiet_config, reach
from service_kit.kafka_security import KafkaConnection
from service_kit.processes import API, PROCESSES, SANDBOX, Process

READY_SECONDS = 180.0
# Long: librdkafka 2.16 ends the whole process when an answer about groups comes just as its question times out.
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs and answers."""

    running: Running
    stack: LocalStack


@contextmanager
def running_system(home: Home, ports: Ports, report: Callable[[StackEvent], None]) -> Generator[System, None, None]:
    """Start everything, give it while it runs, end everything.

    Raises:
        StackError, Refused: a port is taken or a part did not start; one sentence each.
    """
    asked = [port for port in (ports.api, ports.sandbox, ports.kafka, ports.postgres) if port is not None]
    for port in asked:
        if asked.count(port) > 1:
            raise UserError(f"Port {port} is asked for twice: each part needs one of its own.")
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
        return _joined(kafka, process.group) if process.group is not None else None

    return [ServiceSpec(process.name, argv(process), env, ready(process)) for process in PROCESSES]


def _check_servers(running: Running, stack: LocalStack) -> None:
    """Servers of somebody else are asked first: what they refuse would come to light only in each service's log.

    Raises:
        Refused: one does not answer, or refuses us.
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
    """Ready is a consumer that its group knows: a process that runs may have seconds of start before it."""

    def ask() -> bool:
        # A client a question: one that outlives its broker may wait for it for ever when it is closed.
        with suppress(KafkaException), AdminClient(quiet_config(kafka)) as admin:
            return group_members(admin, group, ANSWER_SECONDS) > 0
        return False

    return ask


def _port(reserved: ExitStack, what: str, asked: int | None, usual: int) -> int:
    """The port that was asked for, else the usual one, else any free one.

    The usual one is locked as long as the system runs: two systems that start side by side would
    otherwise both find it free, and one would talk to the other's API.
    """
    if asked is not None:
        if not is_free(asked):
            raise UserError(f"Port {asked} for {what} is taken: end the program that has it or choose another port.")
        return asked
    lock = FileLock(Path(tempfile.gettempdir()) / f"jobtrail-port-{usual}-{os.getuid()}.lock", timeout=0)
    try:
        reserved.enter_context(lock)
    except Timeout:
        return free_port()
    return usual if is_free(usual) else free_port()
