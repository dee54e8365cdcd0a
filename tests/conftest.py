"""Real servers for all tests: containers where a Docker engine answers, else the local stack.

KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL in the environment are used as they are. Servers start with the first
test that needs them and run for the whole session; each test has its own databases and topics. Several sessions can
run at the same time: ports are free ones, folders are temporary, names are unique.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import cast

import docker
import pytest
import structlog
from docker.errors import DockerException
from hypothesis import is_hypothesis_test
from hypothesis import settings as hypothesis_settings
from psycopg_pool import ConnectionPool
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs
from tests.fresh_databases import FreshDatabases

from job_events.topics import Topics
from local_stack import LocalStack, free_port
from local_stack.kafka_server import KafkaNode, settings
from service_kit.kafka_admin import create_topics

WaitUntil = Callable[..., None]
_POLL, _WAIT_LIMIT = 0.05, 400  # seconds
SHARED_KAFKA, SHARED_DATABASE = "JOBTRAIL_TEST_KAFKA", "JOBTRAIL_TEST_DATABASE"
# Files that start first. xdist gives a process its next file when it has fewer than two tests left, so a file with many
# tests must not follow these.
_FIRST = ("acceptance/test_rolling_upgrade.py", "job-tracker/test_rebuild.py", "chaos/test_teeth.py")
# Files that start after a quarter of the others: at once with the first, they would need more than two processors.
_SECOND = ("acceptance/test_up.py", "acceptance/test_abt_buy.py", "chaos/test_short.py")
_shared = ExitStack()

# No deadline: the duration of an example depends on the machine.
hypothesis_settings.register_profile("fast", deadline=None, max_examples=25)
hypothesis_settings.register_profile("thorough", deadline=None, max_examples=100)
hypothesis_settings.load_profile("fast")
# Tracebacks without local variables: rendering a deeply nested value takes half a minute.
_renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _renderer])


def pytest_configure(config: pytest.Config) -> None:
    """With several test processes, their parent starts one Kafka and one PostgreSQL for all of them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Background processes of a shell ignore SIGINT, and so would the processes that tests start and interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    parallel = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if parallel and not config.option.collectonly and not docker_answers():
        stack = _shared.enter_context(_local("kafka", "postgres"))
        os.environ[SHARED_KAFKA], os.environ[SHARED_DATABASE] = stack.bootstrap_servers, stack.database_url


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark property tests as long in the thorough profile, which repeats them with more examples; sort the files."""
    if hypothesis_settings.get_current_profile_name() == "thorough":
        for item in items:
            if is_hypothesis_test(getattr(item, "function", None)):
                item.add_marker("long")

    def of(names: tuple[str, ...]) -> list[pytest.Item]:
        return [item for name in names for item in items if item.path.as_posix().endswith(name)]

    first, second = of(_FIRST), of(_SECOND)
    rest = [item for item in items if item not in {*first, *second}]
    cut = len(rest) // 4
    items[:] = [*first, *rest[:cut], *second, *rest[cut:]]


def pytest_unconfigure() -> None:
    """Stop the servers that `pytest_configure` started."""
    _shared.close()


def docker_answers() -> bool:
    """Whether a Docker engine answers: an installed client does not prove that."""
    try:
        return bool(docker.from_env(timeout=3).ping())
    except DockerException:
        return False


@contextmanager
def _local(*servers: str) -> Generator[LocalStack]:
    # Readable by all: PostgreSQL does not run as root but as a user of its own.
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
    # testcontainers cannot bind to one address; the Docker client can.
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
    """The URL of a database on a real PostgreSQL whose role may create databases."""
    with ExitStack() as stack:
        if given := os.environ.get(SHARED_DATABASE) or os.environ.get("DATABASE_URL"):
            yield given
        elif docker_answers():
            container = stack.enter_context(PostgresContainer("postgres:18", driver=None))
            yield container.get_connection_url()
        else:
            yield stack.enter_context(_local("postgres")).database_url


@pytest.fixture(scope="session")
def schemas() -> tuple[str, ...]:
    """The migrated schemas of a fresh database. A folder whose tests need some overrides this."""
    return ()


@pytest.fixture(scope="session")
def fresh_database(postgres_server: str) -> Iterator[Callable[[tuple[str, ...]], AbstractContextManager[str]]]:
    """`with fresh_database(schemas) as url`: a database of its own, copied from one that was migrated once."""
    with FreshDatabases(postgres_server) as databases:
        yield databases.open


@pytest.fixture
def database_url(
    fresh_database: Callable[[tuple[str, ...]], AbstractContextManager[str]], schemas: tuple[str, ...]
) -> Iterator[str]:
    """The URL of a fresh database with these schemas and without rows, dropped after the test."""
    with fresh_database(schemas) as url:
        yield url


@pytest.fixture
def pool(database_url: str) -> Iterator[ConnectionPool]:
    """A connection pool on the fresh database."""
    connections: ConnectionPool = ConnectionPool(database_url, min_size=1, max_size=10, open=True)
    with connections:
        connections.wait(120)
        yield connections


@pytest.fixture
def topics(kafka: str) -> Topics:
    """All topics of the contract under a unique prefix, created on the broker."""
    made = Topics(f"t{uuid.uuid4().hex[:12]}.")
    create_topics(kafka, made)
    return made


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """`wait_until(predicate, message="")` polls until the predicate is true.

    The limit is far above what any machine needs, so that a slow machine fails no test.
    """

    def wait(predicate: Callable[[], object], message: str = "") -> None:
        deadline = time.monotonic() + _WAIT_LIMIT
        while not predicate():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {_WAIT_LIMIT} s: {message or predicate}")
            time.sleep(_POLL)

    return wait
