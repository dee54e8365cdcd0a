"""A client of `GET /stream`: when it was told of each job."""

import http.client
import json
import threading
import time
from collections.abc import Sequence

from bench.live import Acknowledged

_PATIENCE = 60.0  # seconds that the stream is given for the last events


class StreamReader:
    """Follows the stream in a thread while it is entered."""

    def __init__(self, port: int) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)
        self._told: dict[str, list[tuple[int, float]]] = {}
        self._leaving = False

    def __enter__(self) -> "StreamReader":
        self._client.request("GET", "/stream", headers={"Accept": "text/event-stream"})
        self._answer = self._client.getresponse()
        if self._answer.status != http.client.OK:
            raise RuntimeError(f"the stream answered {self._answer.status}: {self._answer.read(500)!r}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        if self._client.sock is not None:
            self._client.sock.close()
        self._thread.join(5)

    def delays(self, acknowledged: Sequence[Acknowledged]) -> list[float]:
        """Seconds from each acknowledgement to the first message that told at least as much of the job.

        Raises:
            RuntimeError: an event was not told of within _PATIENCE.
        """
        deadline = time.monotonic() + _PATIENCE
        found: list[float] = []
        for event in acknowledged:
            while (at := self._heard(event)) is None:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the stream never told of {event}")
                time.sleep(0.1)
            found.append(at - event.at)
        return found

    def _heard(self, event: Acknowledged) -> float | None:
        told = self._told.get(event.job_id, ())
        return next((at for processed, at in told if processed >= event.processed), None)

    def _read(self) -> None:
        try:
            data: list[bytes] = []
            for line in self._answer:
                if line.startswith(b"data:"):
                    data.append(line[5:].strip())
                elif not line.strip() and data:
                    self._hear(json.loads(b"\n".join(data)), time.monotonic())
                    data = []
        except (OSError, ValueError, http.client.HTTPException):
            if not self._leaving:
                raise

    def _hear(self, told: dict[str, object], at: float) -> None:
        jobs = told.get("jobs")
        for job in jobs if isinstance(jobs, list) else ():
            self._told.setdefault(job["job_id"], []).append((job["counters"]["processed"], at))
