"""The same log gives the same rows as before: `expected_rows.json` was written by the projector of commit cf2eb17."""

import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests import golden_log

from job_events.topics import Topics
from job_tracker.log.records import Record
from job_tracker.projector.batch import Batch, Projection
from job_tracker.projector.commit import Committer
from job_tracker.projector.items_projection import ItemsProjection
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.store.postgres import RetryingConnection
from job_tracker.store.status import Status
from service_kit.database import migrate

EXPECTED = json.loads((Path(__file__).parent / "expected_rows.json").read_text("utf-8"))


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_the_log_gives_the_rows_of_the_earlier_version(database_url: str, batch_size: int) -> None:
    migrate(database_url, "tracker", ["job_tracker.store"])
    project(database_url, JobsProjection(Topics()), golden_log.job_log(), batch_size)
    project(database_url, ItemsProjection(Topics()), golden_log.item_log(), batch_size)
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        found = golden_log.stored_rows(connection)
    assert [row["job_id"] for row in found["job"]] == [row["job_id"] for row in EXPECTED["job"]]
    for row, before in zip(found["job"], EXPECTED["job"], strict=True):
        # A later version may have more columns.
        assert {name: row.get(name) for name in before} == before
    assert {table: rows for table, rows in found.items() if table != "job"} == {
        table: rows for table, rows in EXPECTED.items() if table != "job"
    }


def project(
    database_url: str, projection: Projection[Any], messages: list[golden_log.Message], batch_size: int
) -> None:
    """Write the messages in batches by the commit protocol."""
    records = [Record(*message) for message in messages]
    connection = RetryingConnection(database_url, Status(time.monotonic), lambda _: False, session=projection.session)
    partitions = {(record.topic, record.partition) for record in records}
    with psycopg.connect(database_url, autocommit=True) as writer:
        for topic, partition in sorted(partitions):
            writer.execute(
                "INSERT INTO tracker.consumer_offset "
                "(projection, topic, partition, topic_id, next_offset, first_offset) VALUES (%s, %s, %s, 'id', 0, 0)",
                [projection.name, topic, partition],
            )
    starts = dict.fromkeys(partitions, 0)
    committer = Committer(connection, projection)
    for first in range(0, len(records), batch_size):
        batch = Batch(projection, records[first : first + batch_size])
        batch.seal(starts)
        assert committer.commit(batch) == set()
    connection.close()
