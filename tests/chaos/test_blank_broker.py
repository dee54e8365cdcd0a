"""Kafka is back, but some clients have lost all broker addresses: all must reconnect."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.chaos.servers import Servers
from tests.chaos.stand_ins import StandIn, no_broker
from tests.job_requests import request_of_unknown_account

from job_events.envelope import HEADERS, encode
from job_events.topics import Topics, request_key
from service_kit.kafka import ReconnectingProducer, producer

TOPICS = Topics("blank.")


@contextmanager
def running(package: str, *part: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """A service as people start it; it must end in time, deaf or not."""
    with (folder / f"{package}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", package, *part], env=os.environ | environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            assert process.wait(120) == 0, (folder / f"{package}.log").read_text()
        finally:
            process.kill()


def ask(sender: ReconnectingProducer, wait_until: Callable[..., None]) -> str:
    """Ask for a job until Kafka has the request; its id."""
    event = request_of_unknown_account()
    taken: list[bool] = []

    def send() -> bool:
        sender.produce(
            TOPICS.requests("puller"),
            encode(event),
            request_key(event.tenant, event.data.job.account),
            headers=HEADERS,
            on_delivery=lambda error, _: taken.append(error is None),
        )
        sender.flush(10)
        return any(taken)

    wait_until(send, "the request is not delivered")
    return event.job_id


@pytest.mark.long
def test_who_was_told_of_no_broker_finds_it_again(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    with Servers(tmp_path) as servers:
        database, _ = servers.new_database()
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
            "DATABASE_URL": database,
            "JOBTRAIL_TOPIC_PREFIX": TOPICS.prefix,
            "JOBTRAIL_SECRET_KEY": "3Jp2o0bC0mJ9zv8oT8w3pZ0m0b5rQW0n5w1m3m0dJ1k=",
        }
        sender = producer(servers.bootstrap_servers, "asking", 2000)
        with (
            running("job_tracker", "projector", environment=environment, folder=tmp_path),
            running("puller", environment=environment, folder=tmp_path),
            psycopg.connect(database, autocommit=True) as connection,
        ):

            def finished(job_id: str) -> bool:
                try:
                    query = "SELECT state FROM tracker.job WHERE job_id = %s"
                    return connection.execute(query, [job_id]).fetchone() == ("finished",)
                except psycopg.errors.UndefinedTable:
                    return False

            first = ask(sender, wait_until)
            wait_until(lambda: finished(first), "the first job does not end")
            _blank(servers, sender, wait_until)
            second = ask(sender, wait_until)
            wait_until(lambda: finished(second), "somebody is deaf still")


def _blank(servers: Servers, sender: ReconnectingProducer, wait_until: Callable[..., None]) -> None:
    """Kill Kafka; no client may reconnect before it has received metadata without a broker."""
    port = urlsplit(f"//{servers.bootstrap_servers}").port
    assert port is not None
    servers.kill("kafka")
    with StandIn(port, no_broker) as blank:

        def all_informed() -> bool:
            sender.poll(0)
            informed = Counter(client.partition(":")[0] for client, _ in blank.informed)
            # Of the puller its consumer and its producer; the projector's consumer is named after its host.
            return informed["puller"] >= 2 and informed["asking"] >= 1 and informed[gethostname()] >= 1

        wait_until(all_informed, "not every client received an answer without a broker")
