"""Debezium's JDBC sink on Kafka Connect: upsert, its reduction buffer, three tasks, the schema outside the message."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.candidate import Place
from bench.peers.connect import ConnectWorker
from bench.peers.table import TABLE

BATCH = 10_000  # measured: of 2,000 to 10,000 the best, as the reduction buffer leaves one row a job of each batch

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "optional": True}
INTEGER: Schema = {"type": "int64", "optional": True}
# Debezium's own type for a time with a zone in ISO form.
TIME: Schema = {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "optional": True}
COUNTERS = ("total", "processed", "successful", "failed", "skipped")


def struct(**fields: Schema) -> Schema:
    """An object that holds these fields."""
    return {"type": "struct", "optional": True, "fields": [{**kind, "field": name} for name, kind in fields.items()]}


# The converter reads the fields that are named here and leaves out all others.
_SCHEMA = struct(
    subject=TEXT,
    type=TEXT,
    tenant=TEXT,
    time=TIME,
    data=struct(
        job=struct(type=TEXT, account=TEXT),
        phase=TEXT,
        outcome=TEXT,
        total=INTEGER,
        counters=struct(**dict.fromkeys(COUNTERS, INTEGER)),
    ),
)
_COLUMNS = {
    "subject": "job_id",
    "type": "state",
    "time": "updated_at",
    "data_job_type": "job_type",
    "data_job_account": "account",
    "data_phase": "phase",
    "data_outcome": "outcome",
    "data_total": "total_at_start",
    **{f"data_counters_{name}": name for name in COUNTERS},
}


def job_connector(topic: str, database_url: str) -> dict[str, str]:
    """The settings of the sink that keeps the job table."""
    return {
        **connector(topic, database_url, "job", _SCHEMA, _COLUMNS),
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "job_id",
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
    }


def connector(topic: str, database_url: str, table: str, schema: Schema, columns: Mapping[str, str]) -> dict[str, str]:
    """The settings of any sink. columns: from the flattened field to the column's name."""
    database = urlsplit(database_url)
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "3",
        "topics": topic,
        "connection.url": f"jdbc:postgresql://{database.hostname}:{database.port}{database.path}"
        "?reWriteBatchedInserts=true",
        "connection.username": database.username or "",
        "connection.password": database.password or "",
        "collection.name.format": table,
        "schema.evolution": "none",
        "batch.size": str(BATCH),
        # A poll brings a whole batch only where a fetch may hold that much.
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.max.partition.fetch.bytes": str(16 * 2**20),
        "consumer.override.fetch.max.bytes": str(64 * 2**20),
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(schema),
        "transforms": "flat,named",
        "transforms.flat.type": "org.apache.kafka.connect.transforms.Flatten$Value",
        "transforms.flat.delimiter": "_",
        "transforms.named.type": "org.apache.kafka.connect.transforms.ReplaceField$Value",
        "transforms.named.renames": ",".join(f"{old}:{new}" for old, new in columns.items()),
    }


class Debezium:
    """The sink in a Connect worker that runs on between measurements: its JVM is warm from the second one on."""

    name = "debezium"
    slow = False
    # Connect's own transforms cannot tell one type of event from another, so the reader of the table must.
    final = """
        SELECT job_id, CASE state WHEN 'job.finished.v1' THEN 'finished' ELSE 'running' END AS state,
               coalesce(total, total_at_start) AS total, coalesce(processed, 0) AS processed,
               coalesce(successful, 0) AS successful, coalesce(failed, 0) AS failed, coalesce(skipped, 0) AS skipped,
               CASE state WHEN 'job.finished.v1' THEN updated_at END AS finished_at
        FROM job
    """

    def __init__(self, worker: ConnectWorker) -> None:
        self._worker = worker
        self._connector = ""

    def prepare(self, place: Place) -> None:
        with psycopg.connect(place.database_url) as connection:
            connection.execute(TABLE)
            connection.execute("ALTER TABLE job ADD COLUMN total_at_start bigint")
        self._worker.start(place.logs)

    def start(self, place: Place) -> None:
        self._connector = place.topics.prefix + place.name
        self._worker.add(self._connector, job_connector(place.topics.events, place.database_url))

    def check(self) -> None:
        self._worker.check(self._connector)

    def peak_bytes(self) -> int:
        return self._worker.peak_bytes()

    def stop(self) -> None:
        self._worker.remove(self._connector)
