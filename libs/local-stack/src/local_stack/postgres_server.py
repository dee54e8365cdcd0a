"""A PostgreSQL server from the binaries of a Python package: data folder, command and readiness."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from local_stack import preparation
from local_stack.errors import StackError
from local_stack.ports import LOOPBACK
from local_stack.postgres_user import User, binaries, data_home, unprivileged_user

ROLE = "jobtrail"
DATABASE = "jobtrail"
MAJOR = "18"
_POLL = 0.05  # seconds between two tries


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """What a supervisor needs to run the server."""

    argv: list[str]
    user: User | None
    data: Path


def url(port: int, database: str = DATABASE) -> str:
    """The database's address on this machine."""
    return f"postgresql://{ROLE}@{LOOPBACK}:{port}/{database}"


def server_command(bin_dir: Path, data: Path, port: int) -> list[str]:
    """The command line of the server. It listens on the loopback address only, and on no socket file."""
    settings = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": f"{_cache_megabytes()}MB",
        # A batch writes several megabytes of WAL; with the default it waits for the disk meanwhile.
        "wal_buffers": "16MB",
        "max_wal_size": "4GB",
        "log_min_messages": "warning",
        "timezone": "UTC",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [str(bin_dir / "postgres"), "-D", str(data), *options]


def _cache_megabytes() -> int:
    """A sixteenth of the machine's memory, 128 MB to 1 GB; the server allocates only what it uses."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(memory // 16 // 2**20, 128), 1024)


def prepare(data_dir: Path, port: int, on_format: Callable[[], None]) -> PostgresPlan:
    """Create the data folder the first time, and return the plan to run the server.

    Raises StackError when the data is another major version's or another user's, or initdb fails.
    """
    user = unprivileged_user()
    bin_dir = binaries(user)
    data = data_home(data_dir, user) / "data"
    if data.exists():
        user = _check(data, user)
    else:
        on_format()
        _initdb(bin_dir, data, user)
    return PostgresPlan(server_command(bin_dir, data, port), user, data)


def _check(data: Path, user: User | None) -> User | None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise StackError(f"The data in {data} is PostgreSQL {found}'s, not {MAJOR}'s: choose another data folder.")
    owner = data.stat()
    if user is None and owner.st_uid != os.geteuid():
        raise StackError(f"The data in {data} belongs to another user: choose another data folder.")
    # A root process may have created it as another unprivileged user: PostgreSQL must run as the owner of its data.
    return User(owner.st_uid, owner.st_gid) if user is not None else None


def _initdb(bin_dir: Path, data: Path, user: User | None) -> None:
    part = data.with_name("data.part")
    shutil.rmtree(part, ignore_errors=True)
    command = [
        *(str(bin_dir / "initdb"), "-D", str(part), "--username", ROLE, "--auth=trust"),
        *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
    ]
    preparation.run(command, "PostgreSQL's data folder", user)
    part.rename(data)


def answers(port: int, data: Path, stop: threading.Event, timeout: float) -> bool:
    """Wait until the server of this data folder answers; False after `timeout` seconds or when `stop` is set.

    Another server at the port does not count.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not stop.is_set():
        try:
            with psycopg.connect(url(port, "postgres"), connect_timeout=2) as connection:
                found = connection.execute("show data_directory").fetchone()
        except psycopg.OperationalError:
            # Not up yet; the caller reports a server that never comes up.
            stop.wait(_POLL)
            continue
        if found == (str(data),):
            return True
        stop.wait(_POLL)
    return False


def ensure_database(port: int) -> None:
    """Create the database unless it exists."""
    with psycopg.connect(url(port, "postgres"), autocommit=True) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
        if known is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
