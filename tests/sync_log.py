"""A sync log of items, copies, poison and letters, as tests of `rebuild --items` fill and look at it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.rebuilds import run

from job_tracker.log.broker import Broker
from service_kit.database import migrate

AGAIN = "SELECT count(*) FROM tracker.consumer_offset WHERE projection LIKE '%tracker-items.again'"
_ITEMS = "SELECT * FROM tracker.item ORDER BY event_id"
_LETTERS = 'SELECT * FROM tracker.dead_letter ORDER BY topic, partition, "offset", consumer'
PLACES = """
SELECT topic, partition, topic_id, first_offset, next_offset FROM tracker.consumer_offset
WHERE projection LIKE '%tracker-items' ORDER BY 1, 2
"""
_ACTIONS = ("created", "updated", "skipped", "failed")


class SyncLog:
    """Puts items, copies of them, poison and letters where the test wants them, and knows what became of them."""

    def __init__(self, system: Any, stream: Any, connection: Any, wait_until: Callable[..., None]) -> None:
        self._system, self._stream, self._connection = system, stream, connection
        self._wait_until = wait_until
        self._number = 0

    def item(self, number: int, job: str = "") -> dict[str, Any]:
        """One of several bodies under the event id of this number."""
        job = job or f"job-{self._stream.run}-{number % 5}"
        data = {
            "job": {"type": "PRODUCT_SYNC", "account": "shop"},
            "attempt": 0,
            "item": f"sku-{number}",
            "action": self._stream.random.choice(_ACTIONS),
        }
        return self._stream.envelope("item.recorded.v1", job, f"{job}/sku-{number}/0", self._stream.start, data)

    def put(self, count: int, partition: int | None = None, partitions: int = 6) -> None:
        """New items, a third of them twice; if no partition is named, poison and letters among them too."""
        chance = self._stream.random
        for _ in range(count):
            self._number += 1
            for _ in range(chance.choice([1, 1, 2])) if partition is None else (0,):
                where = chance.randrange(partitions) if partition is None else partition
                self.place(json.dumps(self.item(self._number)).encode(), where)
            if partition is None and self._number % 5 == 0:
                self.place(b"poison", chance.randrange(partitions))
                self._system.send_raw(self._letter(self._number), self._system.topics.dead_letters)
        self._system.flush()

    def place(self, value: bytes, partition: int) -> None:
        self._system.send_raw(value, self._system.topics.items, partition=partition)

    def rows(self) -> tuple[list[Any], list[Any]]:
        """Items and dead letters, whole."""
        return self._connection.execute(_ITEMS).fetchall(), self._connection.execute(_LETTERS).fetchall()

    def places(self) -> dict[tuple[str, int], tuple[str, int, int]]:
        """Topic id, first and next offset by partition."""
        return {(topic, number): rest for topic, number, *rest in self._connection.execute(PLACES)}

    def read(self) -> None:
        """Wait until a projector has come to the end of each partition."""
        broker = Broker(self._system.kafka)
        topics = (self._system.topics.items, self._system.topics.dead_letters)
        partitions = [(t, n) for t, (_, count) in broker.topic_ids(topics).items() for n in range(count)]
        ends = broker.ends(partitions)

        def reached() -> bool:
            return {partition: following for partition, (_, _, following) in self.places().items()} == ends

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
    """One that was read into its tables, and whose projector has ended."""
    migrate(system.database_url, "tracker", ["job_tracker.store"])
    log = SyncLog(system, stream, connection, wait_until)
    log.put(60)
    system.projector(part="items")
    log.read()
    system.end_projectors()
    return log


def again(system: Any, folder: Path, *options: str) -> str:
    """Run it to its good end; what it said."""
    done = run(system, "rebuild", "--items", *options, folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout
