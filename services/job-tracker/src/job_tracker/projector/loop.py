"""The threads of a projector: one reads and folds, one writes, and a third asks Kafka in the meantime.

The reader hands its batch over as soon as the writer is free, so the size of batches adapts: few records, visible at
once, while the projector keeps up, and many, at less cost each, while it is behind.
"""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic

import structlog

from job_tracker.log.records import TopicPartition
from job_tracker.projector.batch import Batch, Content, Projection
from job_tracker.projector.commit import Committer, no_failpoint
from job_tracker.projector.source import KafkaSource
from job_tracker.store.positions import PositionStore
from job_tracker.store.postgres import RetryingConnection
from job_tracker.store.status import Status
from service_kit.errors import Stopping

log = structlog.get_logger()
_IDLE = 0.25  # seconds that the reader waits for records before it checks `stop`
_BRIEF = 0.005  # seconds that it waits for more records while a begun batch waits for the writer
_CHUNK = 1000  # records read at once, so that the writer is not left waiting for the reader
_FLUSH_TIMEOUT = 10.0  # seconds a partition's next owner waits at most for what was read of it


class Projector(Generic[Content]):
    """Runs one projection until `stop` is set. `bootstrap` constructs all that it uses."""

    def __init__(
        self,
        *,
        projection: Projection[Content],
        committer: Committer[Content],
        connection: RetryingConnection,
        store: PositionStore,
        open_source: Callable[[Callable[[], None]], KafkaSource],
        status: Status,
        stop: threading.Event,
        batch_events: int,
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self._projection = projection
        self._committer = committer
        self._connection = connection
        self._store = store
        self._open_source = open_source
        self._status = status
        self._stop = stop
        self._most = batch_events
        self._failpoint = failpoint
        self._batch = Batch(projection)
        self._writing: Future[set[TopicPartition]] | None = None
        self._lost: set[TopicPartition] = set()

    def run(self) -> None:
        """Run until stopped; leave the group and close the connection in any case."""
        with (
            ThreadPoolExecutor(1, f"checker of {self._projection.name}") as self._checker,
            ThreadPoolExecutor(1, f"writer of {self._projection.name}") as writer,
        ):
            while not self._stop.is_set():
                self._follow(writer)
        self._connection.close()

    def _follow(self, writer: ThreadPoolExecutor) -> None:
        """Read from one source until stopped, or until the source is stalled."""
        self._batch, self._lost = Batch(self._projection), set()
        source = self._open_source(lambda: self._flush_before_revoke(source, writer))
        try:
            while not (self._stop.is_set() or source.is_stalled):
                self._turn(source, writer)
            self._settle(None)
            source.report(at_once=True)
        except Stopping:
            log.info("stopped while waiting")
        finally:
            source.close()

    def _turn(self, source: KafkaSource, writer: ThreadPoolExecutor) -> None:
        self._status.record_turn()
        self._settle(0)
        # A revoked partition may be assigned again, at a position to which another owner has moved it.
        self._lost |= source.left
        if self._lost:
            self._batch = self._batch.without(self._lost)
            source.rewind(self._lost)
            self._lost, source.left = set(), set()
        if self._writing is None:
            source.report()
        begun = len(self._batch.records)
        if self._batch.moves and self._writing is None:
            self._hand_over(source, writer)
        elif self._batch.is_full(self._most):
            self._batch.pack()
            self._settle(_IDLE)
        elif (
            not self._read(source, self._most - begun, 0 if self._batch.moves else _IDLE) and self._writing is not None
        ):
            self._wait_for_writer(self._writing, source, self._most - begun)

    def _wait_for_writer(self, writing: Future[set[TopicPartition]], source: KafkaSource, most: int) -> None:
        """No more records: write the batch as soon as the writer is free, with the records that come until then."""
        self._settle(_BRIEF)
        if writing.done() and not (self._lost or source.left):
            self._read(source, most, 0)

    def _read(self, source: KafkaSource, most: int, timeout: float) -> bool:
        """Add up to `most` records to the batch, or a chunk of them; whether there were any."""
        records = source.poll(min(most, _CHUNK), timeout)
        if records:
            self._failpoint("after_poll")
        elif not self._batch.records:
            gc.collect()  # bootstrap has disabled automatic collection, which finds nothing in a batch
        self._batch.add(records)
        self._batch.pass_over(source.take_empty())
        return bool(records)

    def _hand_over(self, source: KafkaSource, writer: ThreadPoolExecutor) -> None:
        """Give the batch to the writer, which must be free."""
        batch, self._batch = self._batch, Batch(self._projection)
        gone = batch.ends().keys() - source.begins.keys()
        if gone:
            batch = batch.without(set(gone))
        if batch.moves:
            batch.seal(source.begins)
            self._writing = writer.submit(self._write, batch)

    def _write(self, batch: Batch[Content]) -> set[TopicPartition]:
        # Kafka is asked while PostgreSQL works; no transaction commits before the answer.
        right_log = self._checker.submit(self._store.check)
        return self._committer.commit(batch, right_log)

    def _settle(self, timeout: float | None) -> None:
        """Wait up to `timeout` seconds (None: without limit) for the writer, and take its result."""
        if self._writing is None:
            return
        wait([self._writing], timeout)
        if self._writing.done():
            self._lost |= self._writing.result()
            self._writing = None

    def _flush_before_revoke(self, source: KafkaSource, writer: ThreadPoolExecutor) -> None:
        """A partition goes to another owner: write what was read, so that it is not read again.

        A write that is too late is fenced by the positions.
        """
        self._settle(_FLUSH_TIMEOUT)
        if self._writing is None and self._batch.moves:
            # A revoked partition may be assigned again, at a position to which another owner has moved it.
            self._batch = self._batch.without(self._lost | source.left)
            self._hand_over(source, writer)
            self._settle(_FLUSH_TIMEOUT)
