"""A stream whose reader takes nothing is cut, and nobody calls that a fault."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from starlette.types import Message

from job_tracker import bootstrap_api
from job_tracker.api.stream import CutOff


def test_a_reader_that_takes_nothing_is_no_error() -> None:
    async def events() -> AsyncGenerator[bytes]:
        while True:
            yield b"data: x\n\n"

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] != "http.response.start":
            await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET"}
    asyncio.run(CutOff(events(), send_timeout=0.05)(scope, receive, send))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux gives up on a reader that is there")
def test_the_connection_of_who_takes_nothing_is_closed(monkeypatch: pytest.MonkeyPatch, wait_until: Any) -> None:
    """What the system holds for a reader keeps a connection open, unless it is told when to give up."""
    monkeypatch.setattr(bootstrap_api, "SEND_TIMEOUT", 1)
    gone = threading.Event()
    app = FastAPI()

    @app.get("/")
    async def endless() -> Response:
        async def events() -> AsyncGenerator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
                    await asyncio.sleep(0)  # so that the server hears of the end
            finally:
                gone.set()

        return StreamingResponse(events())

    class Nothing:
        def close(self) -> None:
            """Nothing is open."""

    app.state.parts = SimpleNamespace(streams=Nothing(), reader=Nothing())
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical")
    server = bootstrap_api.Server(app, config, threading.Event())
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(server.run)
        try:
            wait_until(lambda: server.started, "no server")
            (listening,) = server.servers[0].sockets
            wait_until(lambda: listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), "no limit")
            with socket.create_connection(listening.getsockname()) as silent:
                silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert gone.wait(120)
        finally:
            server.should_exit = True
            running.result()
