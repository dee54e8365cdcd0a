"""A TCP proxy before PostgreSQL that can drop the answer to a COMMIT and then the connection."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass

from tests.chaos.projections import PROJECTIONS

_CHUNK = 65536
_COMMIT_SENT = b"COMMIT\0"  # alone in a message: a poke brings its own BEGIN
_POKE = b"NOTIFY"
_COMMIT_DONE = b"COMMIT\0"  # the command tag in the server's answer
_POSITIONS = b"UPDATE consumer_offset"  # said only by the connections that keep a projection


@dataclass(slots=True)
class _Pair:
    """One client's connection and what is known of it."""

    keeps_projection: bool = False
    projection: str | None = None  # by its name without the run's prefix
    committing: bool = False


class Proxy:
    """Listens on `port` of the loopback address. Runs in a thread of its own from `start` to `stop`."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy before PostgreSQL", daemon=True)
        self._to_cut: Counter[str | None] = Counter()
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self.cut = 0

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the proxy does not listen")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut_next_commit(self, projection: str) -> None:
        """The next COMMIT of this projection reaches the server; its answer never reaches the projector."""
        with self._lock:
            self._to_cut[projection] += 1

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        try:
            server, ask = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            answer.close()
            return
        pair = _Pair()
        ways = [
            asyncio.create_task(self._ask(client, ask, pair)),
            asyncio.create_task(self._answer(server, answer, pair)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for writer in (ask, answer):
            writer.close()

    async def _ask(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, pair: _Pair) -> None:
        while data := await source.read(_CHUNK):
            pair.keeps_projection = pair.keeps_projection or _POSITIONS in data
            if pair.keeps_projection and pair.projection is None:
                pair.projection = next((one.name for one in PROJECTIONS if one.name.encode() in data), None)
            if pair.keeps_projection and _COMMIT_SENT in data and _POKE not in data:
                pair.committing = True
            target.write(data)
            await target.drain()

    async def _answer(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, pair: _Pair) -> None:
        while data := await source.read(_CHUNK):
            if pair.committing and _COMMIT_DONE in data:
                pair.committing = False
                with self._lock:
                    cut = self._to_cut[pair.projection] > 0
                    self._to_cut[pair.projection] -= cut
                if cut:
                    self.cut += 1
                    return
            target.write(data)
            await target.drain()
