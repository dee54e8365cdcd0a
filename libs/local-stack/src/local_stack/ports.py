"""Free ports on the loopback address."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path

from local_stack.errors import PortTaken, StackError

LOOPBACK = "127.0.0.1"
# Below the range of Linux for outgoing connections (32768 and up), so that no client connection takes the port of a
# server while it restarts.
_FIRST, _LAST = 20_000, 29_999
_TRIES = 200
_reserved: set[int] = set()
_reserving = threading.Lock()


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """A port that no server listens on, and that no other process gets from this function while this process lives.

    A server takes seconds until it listens. Two servers with one port would both start, and the clients of the one that
    fails would connect to the other. Raises StackError if no port is found.
    """
    choose = random.SystemRandom()
    with _reserving:
        for _ in range(_TRIES):
            port = choose.randint(_FIRST, _LAST)
            if port not in _reserved and _reserve(port) and is_free(port):
                _reserved.add(port)
                return port
    raise StackError(f"No free port was found between {_FIRST} and {_LAST} on {LOOPBACK}.")


def _reserve(port: int) -> bool:
    """Lock the byte of this number in a file shared by all processes of the user; the lock ends with the process."""
    try:
        fcntl.lockf(_ports_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


@cache
def _ports_file() -> int:
    # Never closed: closing any descriptor of the file releases all locks of the process in it.
    return os.open(Path(tempfile.gettempdir()) / f"jobtrail-ports-{os.getuid()}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def asked_or_free(server: str, port: int | None) -> int:
    """`port` if it is free, a free one if it is None. Raises PortTaken."""
    if port is None:
        return free_port()
    if not is_free(port):
        raise PortTaken(server, port)
    return port
