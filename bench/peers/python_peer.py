"""A peer that is a Python program of this folder and runs in its own process."""

import sys
from pathlib import Path

import psycopg

from bench.candidate import Place
from bench.child import Child
from bench.peers.peer_settings import PeerSettings
from bench.peers.table import FINAL, TABLE

ROOT = Path(__file__).parents[2]


class PythonPeer:
    """Runs `module` with `arguments`. python: the interpreter of a peer that needs other packages."""

    final = FINAL

    def __init__(self, name: str, module: str, *arguments: str, slow: bool = False, python: Path | None = None) -> None:
        self.name = name
        self.slow = slow
        self._argv = [str(python or sys.executable), "-m", f"bench.peers.{module}", *arguments]
        self._child: Child | None = None

    def prepare(self, place: Place) -> None:
        with psycopg.connect(place.database_url) as connection:
            connection.execute(TABLE)

    def start(self, place: Place) -> None:
        settings = PeerSettings(
            place.kafka, place.topics.events, f"{place.topics.prefix}{place.name}", place.database_url
        )
        self._child = Child(self._argv, settings.environment(), place.logs / f"{place.name}.log", folder=ROOT)

    def check(self) -> None:
        self._running.check()

    def peak_bytes(self) -> int:
        return self._running.peak_bytes()

    def stop(self) -> None:
        self._running.end()

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child
