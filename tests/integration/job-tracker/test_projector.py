"""The job table equals the oracle's fold, whatever the order, the duplicates, the batches and the deaths."""

import json
import signal
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from tests.tracker_actions import run

from job_tracker.store.postgres import CHANNEL


def count(connection: Any, query: str) -> int:
    try:
        return connection.execute(query).fetchone()[0]
    except Exception as error:  # before the first migration there is no table
        if "does not exist" in str(error):
            return -1
        raise


HISTORY = "SELECT count(*) FROM tracker.event"
DEAD = "SELECT count(*) FROM tracker.dead_letter"


@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_shuffled_and_doubled_streams_give_the_oracles_table(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, batch: int
) -> None:
    events = stream.shaken(stream.jobs(40))
    system.send(events)
    system.projector(jobtrail_batch_events=batch)
    wait_until(lambda: count(connection, HISTORY) == len(events), "the log was not read to its end")
    assert shown(connection) == oracle(events)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    assert count(connection, "SELECT sum(jobs) FROM tracker.rollup WHERE tenant = '' AND day = '-infinity'") == len(
        oracle(events)
    )


def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    events = stream.shaken(stream.jobs(300))
    system.send(events)
    for share in (0.05, 0.3, 0.6):
        victim = system.process("projector", tmp_path / "log", JOBTRAIL_BATCH_EVENTS="50")
        wait_until(lambda share=share: count(connection, HISTORY) >= share * len(events), "no progress")
        victim.send_signal(signal.SIGKILL)
        victim.wait(120)
    last = system.process("projector", tmp_path / "log")
    wait_until(lambda: count(connection, HISTORY) == len(events), (tmp_path / "log").read_text())
    assert shown(connection) == oracle(events)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []
    last.send_signal(signal.SIGTERM)
    assert last.wait(120) == 0


def test_cut_connections_and_a_closed_database_lose_nothing(
    *, system: Any, connection: Any, postgres_server: str, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    """The server ends all connections between batches; then it takes no new ones for a while."""
    events = stream.shaken(stream.jobs(60))
    name = connection.info.dbname
    own = connection.info.backend_pid
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {own}"
    system.projector(jobtrail_batch_events=20)
    parts = [events[start::6] for start in range(6)]
    system.send(parts[0])
    wait_until(lambda: count(connection, HISTORY) >= 20, "nothing was read")
    for part in parts[1:4]:
        system.send(part)
        connection.execute(cut)
    with psycopg.connect(postgres_server, autocommit=True) as administrator:
        administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        administrator.execute(cut)
        system.send(parts[4])
        before = count(connection, HISTORY)
        administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    system.send(parts[5])
    wait_until(lambda: count(connection, HISTORY) == len(events), "the log was not read to its end")
    assert before < len(events)
    assert shown(connection) == oracle(events)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []


def test_each_commit_wakes_who_listens(*, system: Any, connection: Any, stream: Any, wait_until: Any) -> None:
    """Readers look once a second anyway; that they are woken at once shows only here."""
    system.projector()
    system.send(stream.job(1))
    wait_until(lambda: system.count(connection, "job") == 1, "not read")
    with psycopg.connect(system.database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        system.send(stream.job(2))
        assert next(listener.notifies(timeout=120, stop_after=1), None) is not None
        wait_until(lambda: system.count(connection, "job") == 2, "not read")


def test_records_between_transaction_markers_are_all_taken(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, tmp_path: Path
) -> None:
    """A marker takes an offset and is no record; what a transaction took back is none either."""
    events = stream.jobs(8)
    producer = Producer({"bootstrap.servers": system.kafka, "transactional.id": f"test-{uuid.uuid4()}"})
    producer.init_transactions(120)
    portions = [events[begin : begin + 3] for begin in range(0, len(events), 3)]
    for number, portion in enumerate(portions):
        for kept in [False, True] if number % 5 == 0 else [True]:
            producer.begin_transaction()
            for event in portion:
                key = event["subject"].encode()
                producer.produce(system.topics.events, json.dumps(event).encode(), key, partition=number % 2)
            producer.flush(120)
            (producer.commit_transaction if kept else producer.abort_transaction)(120)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not all events were applied")
    assert shown(connection) == oracle(events)
    assert system.count(connection, "dead_letter") == 0
    assert run(system, "audit", "--all", folder=tmp_path).returncode == 0
