"""Looks at the tables while the faults run: where each partition stands, and whether anything ever went back."""

import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tests.chaos.members import Death

Partition = tuple[str, int]
_EVERY = 0.05  # seconds between two looks at the positions
_SNAPSHOT_EVERY = 40  # looks between two looks at I7
_RANK = {"queued": 0, "running": 1, "finished": 2, "deleted": 3}


def statements() -> dict[str, str]:
    """The SQL of this folder by name."""
    text = Path(__file__).with_name("watch.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (body.strip() for body in parts[2::2]), strict=True))


SQL = statements()


def open_connection(database_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(database_url, autocommit=True, connect_timeout=5, options="-c timezone=UTC")


class Watch:
    """Reads past the proxy."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="watch", daemon=True)]
        self._lock = threading.Lock()
        self._moves: dict[Partition, list[tuple[float, int]]] = {}
        self.troubles: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def read_through(self, api_url: str, job_ids: list[str]) -> None:
        """Also read these jobs through the API, again and again: none may be seen to go back (I10)."""
        reader = threading.Thread(target=self._read, args=(api_url, job_ids), name="reader", daemon=True)
        self._threads.append(reader)
        reader.start()

    def position(self, partition: Partition) -> int:
        """The last seen position; 0 before any."""
        with self._lock:
            moves = self._moves.get(partition)
            return moves[-1][1] if moves else 0

    def recoveries(self, deaths: list[Death]) -> list[float]:
        """Seconds from each death to the next commit of each partition that it held.

        Where the next owner died as well before it wrote, the wait counts from the later death.
        """
        waits: list[float] = []
        with self._lock:
            for death in deaths:
                for partition in death.held:
                    later = [d.at for d in deaths if d.at > death.at and partition in d.held]
                    moved = next((at for at, _ in self._moves.get(partition, []) if at > death.at), None)
                    if moved is not None and moved < min(later, default=moved + 1):
                        waits.append(moved - death.at)
        return waits

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        looks = 0
        while not self._stop.wait(_EVERY):
            try:
                if connection is None or connection.closed:
                    connection = open_connection(self._database_url)
                self._look(connection, snapshot=looks % _SNAPSHOT_EVERY == 0)
                looks += 1
            except psycopg.OperationalError:
                connection = None  # killed or paused, as the schedule wants it
            except psycopg.errors.UndefinedTable:
                continue  # before the first migration
        if connection is not None:
            connection.close()

    def _look(self, connection: psycopg.Connection[Any], *, snapshot: bool) -> None:
        rows = connection.execute(SQL["positions"]).fetchall()
        now = time.monotonic()
        with self._lock:
            for _, topic, number, offset in rows:
                moves = self._moves.setdefault((topic, number), [])
                if moves and offset < moves[-1][1]:
                    self.troubles.append(f"I7: the position of {topic}[{number}] fell from {moves[-1][1]} to {offset}")
                if not moves or offset != moves[-1][1]:
                    moves.append((now, offset))
        if snapshot:
            self.troubles += torn(connection)

    def _read(self, api_url: str, job_ids: list[str]) -> None:
        seen: dict[str, tuple[int, int]] = {}
        with httpx.Client(base_url=api_url, timeout=5) as client:
            while not self._stop.is_set():
                for job_id in job_ids:
                    try:
                        answer = client.get(f"/jobs/{job_id}")
                    except httpx.HTTPError:
                        self._stop.wait(0.2)  # killed, or on its way back
                        continue
                    if answer.status_code != 200:
                        continue  # not there yet, or PostgreSQL is away
                    job = answer.json()["job"]
                    now = (_RANK[job["state"]], job["attempt"])
                    if now < seen.get(job_id, now):
                        self.troubles.append(f"I10: a reader saw {job_id} go back from {seen[job_id]} to {now}")
                    seen[job_id] = now
                    if self._stop.wait(0.02):
                        return


def torn(connection: psycopg.Connection[Any]) -> list[str]:
    """I7: partitions whose position and rows disagree, as violations."""
    return [
        f"I7: {topic}[{number}] stands at {next_offset}, but {records} records are kept, the last at {last}"
        for topic, number, next_offset, records, last in connection.execute(SQL["torn"])
    ]
