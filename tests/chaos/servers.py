"""The run's own Kafka and PostgreSQL, which can be killed and paused, with a proxy before PostgreSQL."""

import os
import signal
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql
from tests.chaos.processes import kill
from tests.chaos.proxy import Proxy
from tests.chaos.waiting import wait_for

from local_stack import LocalStack, free_port


class Servers:
    """A context manager. `brokers` is 1 or 3; all is started anew in `folder`."""

    def __init__(self, folder: Path, brokers: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # as root, PostgreSQL runs as another user
        # The run kills its servers, so they are never somebody else's.
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            os.environ.pop(name, None)
        self.stack = LocalStack(folder, brokers=brokers)
        self.brokers = brokers
        self._exit = ExitStack()

    def __enter__(self) -> "Servers":
        self._exit.enter_context(self.stack)
        port = urlsplit(self.stack.database_url).port
        assert port is not None
        self.proxy = Proxy(free_port(), port)
        self.proxy.start()
        self._exit.callback(self.proxy.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def bootstrap_servers(self) -> str:
        return self.stack.bootstrap_servers

    def new_database(self) -> tuple[str, str]:
        """A fresh, empty database: its address, and its address through the proxy."""
        name = f"chaos_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        parts = urlsplit(self.stack.database_url)
        user = parts.netloc.rpartition(":")[0]
        direct = urlunsplit(parts._replace(path=f"/{name}"))
        return direct, urlunsplit(parts._replace(path=f"/{name}", netloc=f"{user}:{self.proxy.port}"))

    def kafka_names(self) -> list[str]:
        return ["kafka"] if self.brokers == 1 else [f"kafka-{number + 1}" for number in range(self.brokers)]

    def kill(self, name: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        wait_for(lambda: kill(self._pid(name)), f"{name} to be there and die")

    @contextmanager
    def paused(self, name: str) -> Generator[None]:
        """SIGSTOP a server with all its processes until the end of the block.

        Raises:
            TimeoutError: it does not stop.
        """
        process = psutil.Process(self._pid(name))
        family = [process, *process.children(recursive=True)]
        try:
            _signal(family, signal.SIGSTOP)
            wait_for(lambda: process.status() == psutil.STATUS_STOPPED, f"{name} to stop")
            yield
        finally:
            _signal(family, signal.SIGCONT)

    def terminate_backends(self) -> int:
        """End every session of every client but this one; returns how many."""
        with psycopg.connect(self.stack.database_url, autocommit=True, connect_timeout=5) as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
        return int(ended[0]) if ended else 0

    def wait_postgres(self) -> None:
        """Until PostgreSQL answers again."""

        def answers() -> bool:
            try:
                with psycopg.connect(self.stack.database_url, connect_timeout=3) as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError:
                return False
            return True

        wait_for(answers, "PostgreSQL to answer")

    def wait_running(self, name: str) -> None:
        """Until the supervisor has started a killed server again."""
        wait_for(
            lambda: any(s.name == name and s.pid is not None for s in self.stack.services()), f"{name} to run again"
        )

    def _pid(self, name: str) -> int:
        pid = next((s.pid for s in self.stack.services() if s.name == name), None)
        if pid is None:
            self.wait_running(name)
            return self._pid(name)
        return pid


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue  # a backend that has ended meanwhile
