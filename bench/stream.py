"""A client of `GET /stream` that records when each job was sent."""

import http.client
import json
import threading
import time
from collections.abc import Sequence

from bench.steady_load import Acknowledged

_LAST_EVENT_LIMIT = 60.0  # seconds to wait for the last events


class StreamReader:
    """Reads the stream in a thread while the block runs."""

    def __init__(self, port: int) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)
        self._sent: dict[str, list[tuple[int, float]]] = {}
        self._closing = False

    def __enter__(self) -> "StreamReader":
        self._client.request("GET", "/stream", headers={"Accept": "text/event-stream"})
        self._answer = self._client.getresponse()
        if self._answer.status != http.client.OK:
            raise RuntimeError(f"the stream answered {self._answer.status}: {self._answer.read(500)!r}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        if self._client.sock is not None:
            self._client.sock.close()
        self._thread.join(5)

    def delays(self, acknowledged: Sequence[Acknowledged]) -> list[float]:
        """Seconds from each acknowledgement to the first message that shows the job at least as far.

        Raises:
            RuntimeError: an event was not sent within _LAST_EVENT_LIMIT.
        """
        deadline = time.monotonic() + _LAST_EVENT_LIMIT
        found: list[float] = []
        for event in acknowledged:
            while (at := self._sent_at(event)) is None:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the stream did not send {event}")
                time.sleep(0.1)
            found.append(at - event.at)
        return found

    def _sent_at(self, event: Acknowledged) -> float | None:
        sent = self._sent.get(event.job_id, ())
        return next((at for processed, at in sent if processed >= event.processed), None)

    def _read(self) -> None:
        try:
            data: list[bytes] = []
            for line in self._answer:
                if line.startswith(b"data:"):
                    data.append(line[5:].strip())
                elif not line.strip() and data:
                    self._receive(json.loads(b"\n".join(data)), time.monotonic())
                    data = []
        except (OSError, ValueError, http.client.HTTPException):
            if not self._closing:
                raise

    def _receive(self, message: dict[str, object], at: float) -> None:
        jobs = message.get("jobs")
        for job in jobs if isinstance(jobs, list) else ():
            self._sent.setdefault(job["job_id"], []).append((job["counters"]["processed"], at))
