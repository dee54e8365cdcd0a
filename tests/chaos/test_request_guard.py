"""A request's offset is committed after its inbox row: a worker killed between the two loses nothing. With teeth."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.chaos.members import ROOT
from tests.checked_producer import CheckedProducer
from tests.job_requests import request_of_unknown_account

from job_events.envelope import encode
from job_events.topics import Topics, request_key


@pytest.mark.parametrize("mutant", ["", "offset_first"])
def test_a_request_survives_a_kill_between_its_row_and_its_offset(
    *, kafka: str, database_url: str, topics: Topics, wait_until: Callable[..., None], tmp_path: Path, mutant: str
) -> None:
    control = tmp_path / "control"
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": database_url,
        "JOBTRAIL_TOPIC_PREFIX": topics.prefix,
        "JOBTRAIL_SECRET_KEY": "3Jp2o0bC0mJ9zv8oT8w3pZ0m0b5rQW0n5w1m3m0dJ1k=",
        "CHAOS_CONTROL": str(control),
        "CHAOS_MUTANT": mutant,
    }
    control.touch()
    job_id = _request(kafka, topics)
    killed = _puller(environment, tmp_path)
    wait_until(lambda: killed.poll() is not None, "the puller comes to its kill point")
    assert not control.exists(), (tmp_path / "puller.log").read_text()
    again = _puller(environment, tmp_path)
    try:
        wait_until(lambda: _committed(kafka, topics), "the request's offset is committed")
        rows = _rows(database_url, job_id)
    finally:
        again.kill()
        again.wait()
    assert rows == (0 if mutant else 1)


def _puller(environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "puller.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.worker_process"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )


def _request(kafka: str, topics: Topics) -> str:
    event = request_of_unknown_account()
    key = request_key(event.tenant, event.data.job.account)
    CheckedProducer(kafka).send(topics.requests("puller"), encode(event), key)
    return event.job_id


def _committed(kafka: str, topics: Topics) -> bool:
    """Whether the service's group stands behind the one request."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"{topics.prefix}puller"})
    try:
        partitions = [TopicPartition(topics.requests("puller"), number) for number in range(3)]
        return any(partition.offset == 1 for partition in consumer.committed(partitions, timeout=120))
    finally:
        consumer.close()


def _rows(database_url: str, job_id: str) -> int:
    with psycopg.connect(database_url) as connection:
        found: Any = connection.execute("SELECT count(*) FROM puller.inbox WHERE job_id = %s", [job_id]).fetchone()
    return found[0]
