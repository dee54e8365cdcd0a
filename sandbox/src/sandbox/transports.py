"""Closing a client's connection without an answer: uvicorn's protocol with a table of its open transports."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

Peer = tuple[str, int]


class Transports:
    """The open connections by the client's address."""

    def __init__(self) -> None:
        self._open: dict[Peer, asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """A protocol class for uvicorn that keeps this table up to date."""
        register = self._open

        class TrackedProtocol(H11Protocol):
            """H11Protocol, listed while it is connected."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
                register[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                register.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        return TrackedProtocol

    def close(self, peer: Peer) -> None:
        """Close the connection of a client."""
        transport = self._open.get(peer)
        if transport is not None:
            transport.close()


class NoAnswer(Response):
    """A response that closes the connection instead of answering."""

    def __init__(self, transports: Transports) -> None:
        super().__init__()
        self._transports = transports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close, and wait until the server has seen it, so that it sends no error page of its own."""
        self._transports.close(tuple(scope["client"]))
        while (await receive())["type"] != "http.disconnect":
            continue
