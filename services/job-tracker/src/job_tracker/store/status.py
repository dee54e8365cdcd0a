"""The state of a projector; the heartbeat stores it, and readiness reads it."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from job_tracker.log.records import TopicPartition

log = structlog.get_logger()

STUCK_AFTER = 60.0  # seconds without one turn of the loop, and nothing known that it waits for
WHOLE = -1  # the partition of a fault of a whole topic
_LOOKS = 2  # one after the other that do not find a topic: a broker that has just started may not know of it yet


class SeenTopic(NamedTuple):
    """A topic as the broker described it last."""

    topic_id: str
    partitions: int


class Status:
    """Shared by the loop's thread and the heartbeat's. `monotonic` gives seconds that never jump.

    `seen` are the topics that the broker had at the last look; `missing` those of the projection that it did not have.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._away: dict[str, str] = {}
        self._turned: float | None = None
        self._stopped: dict[TopicPartition, str] = {}
        self._unseen: dict[str, int] = {}
        self.seen: dict[str, SeenTopic] = {}
        self.missing: dict[str, str] = {}

    def record_turn(self) -> None:
        """The loop has completed a turn."""
        self._turned = self._monotonic()

    def record_away(self, what: str, reason: str) -> None:
        """A server is away; a reason is logged when it changes."""
        with self._lock:
            known = self._away.get(what)
            self._away[what] = reason
        if known != reason:
            log.warning("server away", server=what, reason=reason)

    def record_present(self, what: str) -> None:
        """A server has answered."""
        if what not in self._away:
            return
        with self._lock:
            self._away.pop(what, None)
        log.info("server back", server=what)

    def record_topics(self, wanted: list[str], seen: Mapping[str, SeenTopic]) -> None:
        """The broker has described `seen` of the topics `wanted`."""
        self._unseen = {topic: self._unseen.get(topic, 0) + 1 for topic in wanted if topic not in seen}
        missing = {
            topic: f"topic {topic} is missing: the broker does not have it"
            for topic, looks in self._unseen.items()
            if looks >= _LOOKS
        }
        for topic in missing.keys() - self.missing.keys():
            log.error("topic missing", topic=topic)
        for topic in self.missing.keys() - missing.keys():
            log.info("topic found", topic=topic)
        self.missing, self.seen = missing, dict(seen)

    def record_stopped(self, partitions: Mapping[TopicPartition, str]) -> None:
        """All assigned partitions that this projector does not read, each with the reason."""
        before, self._stopped = self._stopped, dict(partitions)
        for partition, reason in sorted(self._stopped.items()):
            if before.get(partition) != reason:
                log.error("partition stopped", topic=partition[0], partition=partition[1], reason=reason)

    def faults(self) -> dict[TopicPartition, str]:
        """The partitions that are not read, with reasons; of a missing topic the partition is WHOLE."""
        return {(topic, WHOLE): reason for topic, reason in self.missing.items()} | self._stopped

    def read(self) -> tuple[str, str]:
        """The state (starting, running, partial, waiting or stuck) and a sentence about it.

        partial: it works, but not on all topics and partitions.
        """
        with self._lock:
            away = dict(self._away)
        if away:
            return "waiting", "; ".join(f"{what} is away: {reason}" for what, reason in sorted(away.items()))
        if self._turned is None:
            return "starting", ""
        silent = self._monotonic() - self._turned
        if silent > STUCK_AFTER:
            return "stuck", f"no turn of the loop for {silent:.0f} s"
        if faults := self.faults():
            return "partial", "; ".join(dict.fromkeys(reason for _, reason in sorted(faults.items())))
        return "running", ""
