"""Stand-ins for a broker in a state that a real one cannot be kept in: they tell a client who looks around what
brokers there are, and hang up on any other question.

Protocol: Kafka's guide, ApiVersions (key 18, version 3) and Metadata (key 3, version 1).
"""

import contextlib
import errno
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from tests.chaos.waiting import wait_for

_METADATA, _API_VERSIONS = 3, 18
_LEADER_NOT_AVAILABLE = 5
_OFFERED = ((_METADATA, 0, 1), (_API_VERSIONS, 0, 3))


Metadata = Callable[[list[bytes]], bytes]


class StandIn:
    """Listens on `port` of the loopback address while it is entered; the connections outlive that.

    `metadata` makes the body of the answer to a Metadata request for some topics. `asked` counts such requests; `told`
    holds the connections, by the client's id and its port, that have asked for topics.
    """

    def __init__(self, port: int, metadata: Metadata) -> None:
        self.metadata = metadata
        self.asked = 0
        self.informed: set[tuple[str, int]] = set()
        self._server = _bound(port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stand-in of a broker")

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def no_broker(topics: list[bytes]) -> bytes:
    """The answer of one that is starting, and knows no broker at all.

    Kafka gives it for some milliseconds of a start, too short to be hit by intent, and a client that asks just then may
    forget every broker for ever (librdkafka's issue 5301). Here it comes to the same by another road: whoever has found
    the stand-in stays connected to it, and receives no broker in each answer, though Kafka is back for all else.
    """
    described = (_short(_LEADER_NOT_AVAILABLE) + _text(name) + struct.pack(">bi", 0, 0) for name in topics)
    return struct.pack(">ii", 0, -1) + _array(described)


def dead_peer(port: int, dead_port: int) -> Metadata:
    """The answers of one of two brokers, whose peer has died: the controller, and each topic's only leader."""
    brokers = _array(
        struct.pack(">i", number) + _text(b"127.0.0.1") + struct.pack(">ih", at, -1)
        for number, at in ((1, port), (2, dead_port))
    )
    partition = struct.pack(">hii", 0, 0, 2) + 2 * _array([struct.pack(">i", 1), struct.pack(">i", 2)])

    def metadata(topics: list[bytes]) -> bytes:
        described = (_short(0) + _text(name) + b"\0" + _array([partition]) for name in topics)
        return brokers + struct.pack(">i", 2) + _array(described)

    return metadata


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], broker: StandIn) -> None:
        super().__init__(address, _Client)
        self.broker = broker


def _bound(port: int, broker: StandIn) -> _Server:
    """A broker that was killed holds its port until its last thread is gone; one that waits for a disk goes late."""
    bound: list[_Server] = []

    def bind() -> bool:
        try:
            bound.append(_Server(("127.0.0.1", port), broker))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        return bool(bound)

    wait_for(bind, f"port {port} to be free")
    return bound[0]


class _Client(socketserver.StreamRequestHandler):
    """One connection."""

    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            while head := self.rfile.read(4):
                request = self.rfile.read(int.from_bytes(head))
                key, version, correlation, name_length = struct.unpack_from(">hhih", request)
                end = 10 + max(name_length, 0)
                answer = self._answer(key, version, request[10:end].decode(), request[end:])
                if answer is None:
                    return
                self.wfile.write(struct.pack(">ii", 4 + len(answer), correlation) + answer)

    def _answer(self, key: int, version: int, client: str, body: bytes) -> bytes | None:
        if key == _API_VERSIONS:
            offered = b"".join(struct.pack(">hhhb", *api, 0) for api in _OFFERED)
            return struct.pack(">hB", 0, len(_OFFERED) + 1) + offered + struct.pack(">ib", 0, 0)
        if (key, version) != (_METADATA, 1):
            return None
        names, broker = _names(body), self.server.broker
        broker.asked += 1
        if names:
            broker.informed.add((client, self.client_address[1]))
        return broker.metadata(names)


def _short(number: int) -> bytes:
    return struct.pack(">h", number)


def _text(text: bytes) -> bytes:
    return _short(len(text)) + text


def _array(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    return struct.pack(">i", len(listed)) + b"".join(listed)


def _names(body: bytes) -> list[bytes]:
    """The topics that a Metadata request asks for; one of no importance if it asks for all."""
    (count,) = struct.unpack_from(">i", body)
    if count < 0:
        return [b"any"]
    names: list[bytes] = []
    at = 4
    for _ in range(count):
        (length,) = struct.unpack_from(">h", body, at)
        names.append(body[at + 2 : at + 2 + length])
        at += 2 + length
    return names
