"""Quix Streams with its own PostgreSQL sink: upsert on the primary key, a checkpoint every 10,000 events or 0.5 s."""

from urllib.parse import urlsplit

from quixstreams import Application  # pyright: ignore[reportMissingImports] - lives in the peers' environment
from quixstreams.sinks.community.postgresql import PostgreSQLSink  # pyright: ignore[reportMissingImports]

from bench.peers.peer_settings import peer_settings
from bench.peers.row import row_of


def main() -> None:
    settings = peer_settings()
    database = urlsplit(settings.database_url)
    app = Application(
        broker_address=settings.kafka,
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        commit_every=10_000,
        commit_interval=0.5,
        auto_create_topics=False,
        consumer_extra_config={"fetch.queue.backoff.ms": 5, "queued.min.messages": 1_000_000},
    )
    sink = PostgreSQLSink(
        host=database.hostname,
        port=database.port,
        dbname=database.path[1:],
        user=database.username,
        password=database.password or "",
        table_name="job",
        schema_auto_update=False,
        primary_key_columns=["job_id"],
        upsert_on_primary_key=True,
        include_metadata=False,
    )
    app.dataframe(app.topic(settings.topic, value_deserializer="json")).apply(row_of).sink(sink)
    app.run()


if __name__ == "__main__":
    main()
