"""Progress events: coalesced, never blocking, dropped while Kafka is away, repeated as a sign of life when idle."""

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog
from msgspec.structs import replace

from job_events.envelope import HEADERS, decode, encode_own
from job_events.events import Progress
from service_kit.clock import Clock
from service_kit.kafka import ReconnectingProducer
from worker.ends import MAX_EVENT

log = structlog.get_logger(__name__)
MIN_INTERVAL = 0.5  # seconds between two events of one job, unless its phase changes
SIGN_OF_LIFE = 10.0  # seconds after which the progress of a silent job is sent again


class ProgressSource(Protocol):
    """What is needed of a job to send its progress."""

    @property
    def id(self) -> str: ...

    @property
    def phase(self) -> str: ...

    def progress_event(self) -> Progress:
        """The job's present state as an event."""
        ...


class ProgressSender:
    """Decides which progress calls of a job become events."""

    def __init__(self, producer: ReconnectingProducer, topic: str, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock
        self._sent: dict[str, tuple[float, str]] = {}
        self._pending: set[str] = set()
        self._lock = threading.Lock()
        self.dropped = 0

    def offer(self, job: ProgressSource, *, now: bool = False) -> None:
        """Send the present state of the job if it is due, `now`, or in another phase than the one last sent.

        Otherwise it stays pending. A job that waits repeatedly for the same reason changes no phase.
        """
        moment, phase = self._clock.monotonic(), job.phase
        with self._lock:
            last, last_phase = self._sent.get(job.id, (-MIN_INTERVAL, ""))
            if not now and phase == last_phase and moment - last < MIN_INTERVAL:
                self._pending.add(job.id)
                return
            self._sent[job.id] = moment, phase
            self._pending.discard(job.id)
        self._send(job)

    def beat(self, jobs: Sequence[ProgressSource]) -> None:
        """Send pending progress, and a sign of life for jobs that have been silent. To be called often."""
        moment = self._clock.monotonic()
        for job in jobs:
            with self._lock:
                silent = moment - self._sent.get(job.id, (0.0, ""))[0]
                due = silent >= SIGN_OF_LIFE or (job.id in self._pending and silent >= MIN_INTERVAL)
            if due:
                self.offer(job, now=True)
        self._producer.poll(0)

    def forget(self, job_id: str) -> None:
        """Delete the state of a job whose attempt has ended."""
        with self._lock:
            self._sent.pop(job_id, None)
            self._pending.discard(job_id)

    def _send(self, job: ProgressSource) -> None:
        try:
            event = job.progress_event()
            value = encode_own(event)
            if len(value) > MAX_EVENT:
                # Without metadata: the sign of life must be sent.
                value = encode_own(replace(event, data=replace(event.data, metadata={})))
            decode(value)
            self._producer.produce(self._topic, value, job.id, headers=HEADERS)
        except BufferError:
            # The queue is full because Kafka is away; the next event carries all counters again.
            self.dropped += 1
        except Exception as error:
            # Job code put something into the metadata that fits into no event; the end of the job reports it.
            log.warning("progress fits into no event", job=job.id, reason=str(error))
            self.dropped += 1
