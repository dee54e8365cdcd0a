"""A plain loop in batches: up to 5,000 events folded in memory, then one upsert through unnest."""

import json
from typing import Any

import psycopg
from confluent_kafka import Consumer

from bench.peers.peer_settings import peer_settings
from bench.peers.row import fold_into
from bench.peers.table import COLUMNS, UPSERT_MANY

BATCH = 5000
WAIT = 0.1  # seconds for a batch to fill


def main() -> None:
    settings = peer_settings()
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": settings.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1_000_000,
        }
    )
    consumer.subscribe([settings.topic])
    with psycopg.connect(settings.database_url) as connection:
        while True:
            rows: dict[str, dict[str, Any]] = {}
            for message in consumer.consume(BATCH, WAIT):
                if not message.error():
                    fold_into(rows, json.loads(message.value() or b""))
            if not rows:
                continue
            columns = {name: [row[name] for row in rows.values()] for name in COLUMNS}
            connection.execute(UPSERT_MANY, columns)
            connection.commit()
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main()
