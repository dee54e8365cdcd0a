"""The peer that does the same work as Jobtrail: Debezium's job table, and a second sink that keeps a history.

The history sink inserts one row for each event, keyed by the event's position in Kafka. It uses neither the reduction
buffer, which would drop events, nor `unnest`, which fails with this key. The table has the two indexes of
Jobtrail's history and one column for each field of the events. It does not hold the copy of the request that a start
carries: Jobtrail's history does.
"""

import psycopg

from bench.candidate import Place
from bench.peers.connect import ConnectWorker
from bench.peers.debezium import COUNTERS, INTEGER, TEXT, TIME, Debezium, connector, struct

HISTORY = """
CREATE TABLE history (
    appended_at timestamptz,
    __connect_topic text,
    __connect_partition integer,
    __connect_offset bigint,
    job_id text,
    event_id text,
    type text,
    at timestamptz,
    source text,
    tenant text,
    chain text,
    job_type text,
    account text,
    attempt bigint,
    seq bigint,
    phase text,
    outcome text,
    worker text,
    total_at_start bigint,
    total bigint,
    processed bigint,
    successful bigint,
    failed bigint,
    skipped bigint,
    pages bigint,
    cursor text,
    created bigint,
    updated bigint,
    rate_limit_hits bigint,
    speed double precision,
    duration_ms bigint,
    PRIMARY KEY (__connect_topic, __connect_partition, __connect_offset)
)
"""
INDEX = "CREATE INDEX history_by_job ON history (job_id, appended_at)"

_METADATA = {
    **dict.fromkeys(("pages", "created", "updated", "rateLimitHits"), INTEGER),
    "cursor": TEXT,
    "speed": {"type": "double", "optional": True},
}
_SCHEMA = struct(
    **dict.fromkeys(("subject", "id", "type", "source", "tenant", "correlationid"), TEXT),
    time=TIME,
    data=struct(
        job=struct(type=TEXT, account=TEXT),
        **dict.fromkeys(("attempt", "seq", "total", "duration_ms"), INTEGER),
        **dict.fromkeys(("phase", "outcome", "worker"), TEXT),
        counters=struct(**dict.fromkeys(COUNTERS, INTEGER)),
        metadata=struct(**_METADATA),
    ),
)
_COLUMNS = {
    "subject": "job_id",
    "id": "event_id",
    "time": "at",
    "correlationid": "chain",
    "data_job_type": "job_type",
    "data_job_account": "account",
    "data_total": "total_at_start",
    **{f"data_{name}": name for name in ("attempt", "seq", "phase", "outcome", "worker", "duration_ms")},
    **{f"data_counters_{name}": name for name in COUNTERS},
    **{f"data_metadata_{name}": name for name in _METADATA},
    "data_metadata_rateLimitHits": "rate_limit_hits",
}


def history_connector(topic: str, database_url: str) -> dict[str, str]:
    """The settings of the sink that keeps the history."""
    settings = connector(topic, database_url, "history", _SCHEMA, _COLUMNS)
    return {
        **settings,
        "insert.mode": "insert",
        "primary.key.mode": "kafka",
        "use.reduction.buffer": "false",
        "dialect.postgres.unnest.insert.enabled": "false",
        "transforms": f"{settings['transforms']},stamped",
        "transforms.stamped.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.stamped.timestamp.field": "appended_at",
    }


class DebeziumWithHistory:
    """Both sinks in one Connect worker, each with a consumer group and transactions of its own."""

    name = "debezium_history"
    slow = False
    # A job counts as far as both tables hold its events.
    final = f"""
        SELECT job_id, CASE WHEN kept.finished THEN state ELSE 'running' END AS state, total,
               least(job.processed, kept.processed) AS processed, successful, failed, skipped, finished_at
        FROM ({Debezium.final}) AS job
        JOIN LATERAL (
            SELECT bool_or(type = 'job.finished.v1') AS finished, coalesce(max(processed), 0) AS processed
            FROM history WHERE history.job_id = job.job_id
        ) AS kept ON kept.finished IS NOT NULL
    """

    def __init__(self, worker: ConnectWorker) -> None:
        self._jobs = Debezium(worker)
        self._worker = worker
        self._connector = ""

    def prepare(self, place: Place) -> None:
        with psycopg.connect(place.database_url) as connection:
            connection.execute(HISTORY)
            connection.execute(INDEX)
        self._jobs.prepare(place)

    def start(self, place: Place) -> None:
        self._connector = f"{place.topics.prefix}{place.name}-history"
        self._jobs.start(place)
        self._worker.add(self._connector, history_connector(place.topics.events, place.database_url))

    def check(self) -> None:
        self._jobs.check()
        self._worker.check(self._connector)

    def peak_bytes(self) -> int:
        return self._worker.peak_bytes()

    def stop(self) -> None:
        self._worker.remove(self._connector)
        self._jobs.stop()
