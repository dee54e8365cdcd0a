"""A stream whose reader takes nothing is cut, and nobody calls that a fault."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Message

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
