"""Faust agents with psycopg. The first argument: `event` for an upsert an event, `take` for batches."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import faust
import psycopg

from bench.peers.peer_settings import peer_settings
from bench.peers.row import fold_into, row_of
from bench.peers.table import COLUMNS, UPSERT_MANY, UPSERT_ONE

BATCH = 1000
WITHIN = 0.1  # seconds for a batch to fill


def build(way: str) -> faust.App:
    settings = peer_settings()
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.kafka}",
        datadir=Path(tempfile.gettempdir(), f"bench-faust-{os.getuid()}"),
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=5000,
        stream_buffer_maxsize=16384,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    topic = app.topic(settings.topic, key_type=bytes, key_serializer="raw", value_serializer="json", allow_empty=True)

    async def by_event(stream: Any) -> None:
        connection = await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True)
        async for event in stream:
            await connection.execute(UPSERT_ONE, row_of(event), prepare=True)

    async def in_batches(stream: Any) -> None:
        connection = await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True)
        async for batch in stream.take(BATCH, within=WITHIN):
            rows: dict[str, dict[str, Any]] = {}
            for event in batch:
                fold_into(rows, event)
            await connection.execute(UPSERT_MANY, {name: [row[name] for row in rows.values()] for name in COLUMNS})

    app.agent(topic)(by_event if way == "event" else in_batches)
    return app


if __name__ == "__main__":
    way = sys.argv.pop()
    sys.argv.append("worker")
    build(way).main()
