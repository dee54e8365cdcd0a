"""Sends the outbox to Kafka and forgets a row once the broker has acknowledged it.

A crash between the two sends a row again; every reader takes events in any order and number.
"""

import threading

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from psycopg_pool import ConnectionPool

from job_events.database import is_away
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
        except (psycopg.Error, KafkaException, BufferError) as error:
            if isinstance(error, psycopg.Error) and not is_away(error):
                raise
            log.warning("outbox waits", reason=str(error).strip())

    def send_batch(self) -> bool:
        """Send up to BATCH rows; True if there may be more. A row that Kafka never takes is set aside, and stays.

        Raises:
            KafkaException, BufferError: not every row was acknowledged; those stay for the next time.
        """
        delivered: list[int] = []
        refused: dict[int, KafkaError] = {}
        failure: list[KafkaException | BufferError] = []
        with self._pool.connection() as conn:
            rows = conn.execute(SQL["take_outbox"], {"limit": BATCH}).fetchall()
            for row_id, topic, key, value in rows:

                def report(error: KafkaError | None, _message: Message | None, row_id: int = row_id) -> None:
                    if error is None:
                        delivered.append(row_id)
                    elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                        refused[row_id] = error
                    else:
                        failure.append(KafkaException(error))

                try:
                    self._producer.produce(topic, value, key, on_delivery=report, headers=HEADERS)
                except KafkaException as error:  # librdkafka itself looks at the size first
                    report(error.args[0], None)
                except BufferError as error:
                    failure.append(error)
                    break
            self._producer.flush(self._flush_seconds)
            conn.execute(SQL["drop_outbox"], {"ids": delivered})
            for row_id, error in refused.items():
                conn.execute(SQL["set_aside"], {"id": row_id, "reason": error.str()})
                log.error("Kafka never takes a row of the outbox; it is set aside", row=row_id, reason=error.str())
        if failure:
            raise failure[0]
        return len(rows) == BATCH
