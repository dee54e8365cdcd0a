"""Sends the outbox to Kafka and forgets a row once the broker has acknowledged it.

A crash between the two sends a row again; every reader takes events in any order and number.
"""

import threading

import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from psycopg import OperationalError
from psycopg_pool import ConnectionPool

from job_events.envelope import HEADERS
from job_events.kafka import Sender
from job_events.worker.inbox import SQL

log = structlog.get_logger(__name__)
BATCH = 500
IDLE_SECONDS = 1.0  # another process may have left rows behind


class OutboxSender:
    """Drains the outbox of one service. Several processes may: each row is locked by the one that sends it."""

    def __init__(self, pool: ConnectionPool, producer: Sender, flush_seconds: float = 15) -> None:
        self._pool = pool
        self._producer = producer
        self._flush_seconds = flush_seconds
        self._wake = threading.Event()

    def poke(self) -> None:
        """There is something to send."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`, then once more what is left."""
        while not stop.is_set():
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            self.drain()
        self.drain()

    def drain(self) -> None:
        """Send all there is; leaves the rest for later when Kafka or PostgreSQL does not answer."""
        try:
            while self.send_batch():
                pass
        except (OperationalError, KafkaException) as error:
            log.warning("outbox waits", reason=str(error).strip())

    def send_batch(self) -> bool:
        """Send up to BATCH rows; True if there may be more.

        Raises:
            KafkaException: not every row was acknowledged; those stay in the outbox.
        """
        delivered: list[int] = []
        failure: list[KafkaError] = []
        with self._pool.connection() as conn:
            rows = conn.execute(SQL["take_outbox"], {"limit": BATCH}).fetchall()
            for row_id, topic, key, value in rows:

                def report(error: KafkaError | None, _message: Message, row_id: int = row_id) -> None:
                    if error is None:
                        delivered.append(row_id)
                    else:
                        failure.append(error)

                self._producer.produce(topic, value, key, on_delivery=report, headers=HEADERS)
            self._producer.flush(self._flush_seconds)
            conn.execute(SQL["drop_outbox"], {"ids": delivered})
        if failure:
            raise KafkaException(failure[0])
        return len(rows) == BATCH
