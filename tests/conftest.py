"""Real servers for all tests: containers where a Docker engine answers, else the local stack.

KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL in the environment are used as they are. Servers start when the first
test asks for them and serve the whole session; databases and topic names are a test's own. Several sessions may
run side by side: ports are free ones, folders are temporary, names are unique.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import docker
import psycopg
import pytest
import structlog
from docker.errors import DockerException
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg_pool import ConnectionPool
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

from job_events.topics import Topics
from local_stack import LocalStack, free_port
from local_stack.kafka_server import KafkaNode, settings
from service_kit.kafka_admin import create_topics

WaitUntil = Callable[..., None]
_POLL, _PATIENCE = 0.05, 400  # seconds
SHARED_KAFKA, SHARED_DATABASE = "JOBTRAIL_TEST_KAFKA", "JOBTRAIL_TEST_DATABASE"
# A process with fewer than two tests is given the next file already: what has many tests must not come behind those.
_LONGEST = ("job-tracker/test_rebuild.py", "acceptance/test_up.py", "chaos/test_teeth.py")
_LONG = ("acceptance/test_abt_buy.py", "chaos/test_short.py")
_shared = ExitStack()

# How long an example takes says more of the machine than of the code.
hypothesis_settings.register_profile("any machine", deadline=None)
hypothesis_settings.load_profile("any machine")
# Tracebacks without a picture of each local: of a value that nests deeply it takes half a minute.
_renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _renderer])


def pytest_configure(config: pytest.Config) -> None:
    """With several test processes, their parent starts one Kafka and one PostgreSQL for all of them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that starts tests in the background has it ignored, and so would every process that they interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    parallel = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if parallel and not config.option.collectonly and not docker_answers():
        stack = _shared.enter_context(_local("kafka", "postgres"))
        os.environ[SHARED_KAFKA], os.environ[SHARED_DATABASE] = stack.bootstrap_servers, stack.database_url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, but not with all at once: several whole systems do not fit two processors."""

    def of(names: tuple[str, ...]) -> list[pytest.Item]:
        return [item for name in names for item in items if item.path.as_posix().endswith(name)]

    first, second = of(_LONGEST), of(_LONG)
    rest = [item for item in items if item not in {*first, *second}]
    cut = len(rest) // 4
    items[:] = [*first, *rest[:cut], *second, *rest[cut:]]


def pytest_unconfigure() -> None:
    """End what `pytest_configure` started."""
    _shared.close()


def docker_answers() -> bool:
    """Whether a Docker engine answers; the client alone says nothing."""
    try:
        return bool(docker.from_env(timeout=3).ping())
    except DockerException:
        return False


@contextmanager
def _local(*servers: str) -> Generator[LocalStack]:
    # Others may walk through it: as root, PostgreSQL runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="jobtrail-test-"))
    folder.chmod(0o755)
    try:
        with LocalStack(folder, servers=frozenset(servers)) as stack:
            yield stack
    finally:
        shutil.rmtree(folder)


@contextmanager
def _kafka_container() -> Generator[str]:
    port = free_port()
    node = KafkaNode(1, Path("/tmp/kafka"), port, 9093)  # noqa: S108 - a folder inside the container
    wanted = {**settings(node, [node]), "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:9093"}
    container = DockerContainer("apache/kafka:4.3.0")
    # The class' own method takes no address to bind to; the Docker client does.
    cast("dict[str, object]", container.ports)[f"{port}/tcp"] = ("127.0.0.1", port)
    for key, value in wanted.items():
        container.with_env("KAFKA_" + key.upper().replace(".", "_"), str(value))
    with container:
        wait_for_logs(container, "Kafka Server started", timeout=120)
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The bootstrap servers of a real broker."""
    with ExitStack() as stack:
        if given := os.environ.get(SHARED_KAFKA) or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            yield given
        elif docker_answers():
            yield stack.enter_context(_kafka_container())
        else:
            yield stack.enter_context(_local("kafka")).bootstrap_servers


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a database on a real PostgreSQL whose role may make databases."""
    with ExitStack() as stack:
        if given := os.environ.get(SHARED_DATABASE) or os.environ.get("DATABASE_URL"):
            yield given
        elif docker_answers():
            container = stack.enter_context(PostgresContainer("postgres:18", driver=None))
            yield container.get_connection_url()
        else:
            yield stack.enter_context(_local("postgres")).database_url


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def pool(database_url: str) -> Iterator[ConnectionPool]:
    """A connection pool on the fresh database."""
    connections: ConnectionPool = ConnectionPool(database_url, min_size=1, max_size=10, open=True)
    with connections:
        connections.wait(120)
        yield connections


@pytest.fixture
def topics(kafka: str) -> Topics:
    """All topics of the contract under a prefix of their own, created on the broker."""
    made = Topics(f"t{uuid.uuid4().hex[:12]}.")
    create_topics(kafka, made)
    return made


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """`wait_until(predicate, message="")` polls until the predicate is true.

    It fails the test only when nothing can be expected to come any more: how fast a machine is does not matter here.
    """

    def wait(predicate: Callable[[], object], message: str = "") -> None:
        deadline = time.monotonic() + _PATIENCE
        while not predicate():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {_PATIENCE} s: {message or predicate}")
            time.sleep(_POLL)

    return wait
