"""A plain loop, an upsert an event: poll, write, commit both sides."""

import json

import psycopg
from confluent_kafka import Consumer

from bench.peers.peer_settings import peer_settings
from bench.peers.row import row_of
from bench.peers.table import UPSERT_ONE


def main() -> None:
    settings = peer_settings()
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": settings.group,
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe([settings.topic])
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        while True:
            message = consumer.poll(1)
            if message is None or message.error():
                continue
            connection.execute(UPSERT_ONE, row_of(json.loads(message.value() or b"")), prepare=True)
            # Auto-commit sends stored offsets only, so a crash repeats events and loses none.
            consumer.store_offsets(message)


if __name__ == "__main__":
    main()
