"""A sync log with items, duplicates, invalid records and dead letters, for tests of `rebuild --items`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tracker_actions import run

from job_tracker.log.broker import Broker
from service_kit.database import migrate

REPLAY_POSITIONS = "SELECT count(*) FROM tracker.consumer_offset WHERE projection LIKE '%tracker-items.again'"
_ITEMS = "SELECT * FROM tracker.item ORDER BY event_id"
_LETTERS = 'SELECT * FROM tracker.dead_letter ORDER BY topic, partition, "offset", consumer'
POSITIONS = """
SELECT topic, partition, topic_id, first_offset, next_offset FROM tracker.consumer_offset
WHERE projection LIKE '%tracker-items' ORDER BY 1, 2
"""
_ACTIONS = ("created", "updated", "skipped", "failed")


class SyncLog:
    """Produces items, duplicates, invalid records and dead letters, and reads the tables that they become."""

    def __init__(self, system: Any, stream: Any, connection: Any, wait_until: Callable[..., None]) -> None:
        self._system, self._stream, self._connection = system, stream, connection
        self._wait_until = wait_until
        self._number = 0

    def item(self, number: int, job: str = "") -> dict[str, Any]:
        """An item event whose id depends on `number` and whose body is random."""
        job = job or f"job-{self._stream.run}-{number % 5}"
        data = {
            "job": {"type": "PRODUCT_SYNC", "account": "shop"},
            "attempt": 0,
            "item": f"sku-{number}",
            "action": self._stream.random.choice(_ACTIONS),
        }
        return self._stream.envelope("item.recorded.v1", job, f"{job}/sku-{number}/0", self._stream.start, data)

    def add(self, count: int, partition: int | None = None, partitions: int = 6) -> None:
        """Send new items, a third of them twice; without `partition`, also invalid records and dead letters."""
        chance = self._stream.random
        for _ in range(count):
            self._number += 1
            for _ in range(chance.choice([1, 1, 2])) if partition is None else (0,):
                where = chance.randrange(partitions) if partition is None else partition
                self.send(json.dumps(self.item(self._number)).encode(), where)
            if partition is None and self._number % 5 == 0:
                self.send(b"invalid", chance.randrange(partitions))
                self._system.send_raw(self._letter(self._number), self._system.topics.dead_letters)
        self._system.flush()

    def send(self, value: bytes, partition: int) -> None:
        self._system.send_raw(value, self._system.topics.items, partition=partition)

    def rows(self) -> tuple[list[Any], list[Any]]:
        """All rows of the items and of the dead letters."""
        return self._connection.execute(_ITEMS).fetchall(), self._connection.execute(_LETTERS).fetchall()

    def positions(self) -> dict[tuple[str, int], tuple[str, int, int]]:
        """Topic id, first and next offset by partition."""
        return {(topic, number): rest for topic, number, *rest in self._connection.execute(POSITIONS)}

    def read(self) -> None:
        """Wait until a projector has read each partition to its end."""
        broker = Broker(self._system.kafka)
        topics = (self._system.topics.items, self._system.topics.dead_letters)
        partitions = [(t, n) for t, (_, count) in broker.topic_ids(topics).items() for n in range(count)]
        ends = broker.ends(partitions)

        def reached() -> bool:
            return {partition: following for partition, (_, _, following) in self.positions().items()} == ends

        self._wait_until(reached, "the sync log was not read")

    def _letter(self, number: int) -> bytes:
        data = {"topic": "jobs.requests.puller", "partition": 0, "offset": number, "consumer": "puller", "reason": "no"}
        return json.dumps(
            {
                "type": "job.dead-letter.v1",
                "specversion": "1.0",
                "id": f"puller/{number}",
                "source": "jobtrail/puller/1",
                "time": "2026-03-01T08:00:00Z",
                "data": data,
            }
        ).encode()


def read_sync_log(system: Any, stream: Any, connection: Any, wait_until: Callable[..., None]) -> SyncLog:
    """A sync log that a projector has read completely; the projector has ended."""
    migrate(system.database_url, "tracker", ["job_tracker.store"])
    log = SyncLog(system, stream, connection, wait_until)
    log.add(60)
    system.projector(part="items")
    log.read()
    system.end_projectors()
    return log


def rebuild_items(system: Any, folder: Path, *options: str) -> str:
    """Run `rebuild --items`, which must succeed; returns its output."""
    done = run(system, "rebuild", "--items", *options, folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout
