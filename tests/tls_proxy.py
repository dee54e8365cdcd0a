"""A proxy that adds TLS to a PostgreSQL server that was built without it."""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode, urlsplit, urlunsplit

from local_stack.certificates import Certificates

_SSL_REQUEST = 80877103
_NO_ENCRYPTION = "no pg_hba.conf entry for this host, no encryption"


@contextmanager
def tls_proxy(database_url: str, certificates: Certificates) -> Generator[str]:
    """Yield the database's address through TLS. Clients must use TLS and present a certificate of the authority."""
    server = urlsplit(database_url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.authority))
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    behind = (str(server.hostname), int(server.port or 5432))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context, behind), daemon=True).start()
        query = urlencode(
            {
                "sslmode": "verify-full",
                "sslrootcert": certificates.authority,
                "sslcert": certificates.client,
                "sslkey": certificates.client_key,
            }
        )
        netloc = f"{server.username}{f':{server.password}' if server.password else ''}@127.0.0.1"
        address = server._replace(netloc=f"{netloc}:{listening.getsockname()[1]}", query=query)
        try:
            yield urlunsplit(address)
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # ends the thread's wait


def _accept(listening: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, context, behind), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    with client, suppress(OSError):
        first = client.recv(8, socket.MSG_WAITALL)
        if len(first) < 8 or struct.unpack(">ii", first) != (8, _SSL_REQUEST):
            fields = b"SFATAL\0C28000\0M" + _NO_ENCRYPTION.encode() + b"\0\0"
            client.sendall(b"E" + struct.pack(">i", len(fields) + 4) + fields)
            return
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted, socket.create_connection(behind) as server:
            _forward(encrypted, server)


def _forward(encrypted: ssl.SSLSocket, server: socket.socket) -> None:
    """Copy bytes in both directions until one side closes."""
    while True:
        ready = [encrypted] if encrypted.pending() else select.select([encrypted, server], [], [])[0]
        for side in ready:
            part = side.recv(65_536)
            if not part:
                return
            (server if side is encrypted else encrypted).sendall(part)
