"""Reads the tables during the faults: the position of each partition, and whether anything went back."""

import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tests.chaos.positions import Positions
from tests.chaos.result import describe_error
from tests.chaos.waiting import wait_for

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
        self.positions = Positions()
        self.reads = 0
        self.problems: list[str] = []

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

    def look_again(self) -> None:
        """Wait until a look that has yet to begin is over.

        Raises:
            TimeoutError
        """
        now = time.monotonic()
        wait_for(lambda: self.positions.next_look(now) is not None, "the watch to look again")

    def blind(self) -> list[str]:
        """Violations; a watch that has seen nothing proves nothing."""
        unseen = [] if self.positions.looks else ["nobody has looked at the tables, so nothing was shown of I7"]
        return unseen + ([] if self.reads else ["nobody has read a job, so nothing was shown of I10"])

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as error:
            self.problems.append(f"the watch failed: {describe_error(error)}")

    def _watch(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        over = False
        while not over:
            over = self._stop.wait(_EVERY)  # what came last is looked at too
            try:
                if connection is None or connection.closed:
                    connection = open_connection(self._database_url)
                self._look(connection, snapshot=self.positions.looks % _SNAPSHOT_EVERY == 0)
            except psycopg.OperationalError:
                connection = None  # killed or paused, as the schedule wants it
            except psycopg.errors.UndefinedTable:
                continue  # before the first migration
        if connection is not None:
            connection.close()

    def _look(self, connection: psycopg.Connection[Any], *, snapshot: bool) -> None:
        began = time.monotonic()
        rows = connection.execute(SQL["positions"]).fetchall()
        seen = {(topic, number): offset for _, topic, number, offset in rows}
        self.problems += self.positions.saw(began, time.monotonic(), seen)
        if snapshot:
            self.problems += torn(connection)

    def _read(self, api_url: str, job_ids: list[str]) -> None:
        try:
            self._read_on(api_url, job_ids)
        except Exception as error:
            self.problems.append(f"the reader failed: {describe_error(error)}")

    def _read_on(self, api_url: str, job_ids: list[str]) -> None:
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
                    self.reads += 1
                    now = (_RANK[job["state"]], job["attempt"])
                    if now < seen.get(job_id, now):
                        self.problems.append(f"I10: a reader saw {job_id} go back from {seen[job_id]} to {now}")
                    seen[job_id] = now
                    if self._stop.wait(0.02):
                        return


def torn(connection: psycopg.Connection[Any]) -> list[str]:
    """I7: partitions whose position and rows disagree, as violations."""
    return [
        f"I7: {topic}[{number}] stands at {next_offset}, but {records} records are kept, the last at {last}"
        for topic, number, next_offset, records, last in connection.execute(SQL["torn"])
    ]
