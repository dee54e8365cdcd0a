"""Free ports on the loopback address."""

from __future__ import annotations

import errno
import random
import socket

from local_stack.errors import PortTaken, StackError

LOOPBACK = "127.0.0.1"
# Below Linux' range for outgoing connections (32768 and up): so no client's own port can take a server's
# port while that server restarts.
_FIRST, _LAST = 20_000, 29_999
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that are still closing don't make a port taken.
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
    """A port that nobody listens on now. Raises StackError if none is found."""
    choose = random.SystemRandom()
    for _ in range(_TRIES):
        port = choose.randint(_FIRST, _LAST)
        if is_free(port):
            return port
    raise StackError(f"No free port was found between {_FIRST} and {_LAST} on {LOOPBACK}.")


def asked_or_free(server: str, port: int | None) -> int:
    """`port` if it is free, a free one if it is None. Raises PortTaken."""
    if port is None:
        return free_port()
    if not is_free(port):
        raise PortTaken(server, port)
    return port
