"""How old an answer is: idle, behind, stopped, killed, without Kafka, without PostgreSQL, with several trackers."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from job_tracker import bootstrap
from job_tracker.api.commit_notifications import CommitNotifications
from job_tracker.api.freshness import SnapshotReader, WaitFor, reader_pool
from job_tracker.log.broker import Broker
from job_tracker.projector.heartbeat import Heartbeat
from job_tracker.store.status import Status
from local_stack import free_port


def fresh(url: str) -> dict[str, Any]:
    return httpx.get(f"{url}/jobs", timeout=120).json()["freshness"]


def check(url: str, name: str) -> dict[str, Any]:
    checks = httpx.get(f"{url}/readyz", timeout=120).json()["checks"]
    return next(one for one in checks if one["name"] == name)


@pytest.mark.long
def test_a_topic_that_never_had_an_event_is_fresh_and_a_stopped_or_killed_projector_is_not(
    *, system: Any, start_api: Any, wait_until: Any, tmp_path: Path
) -> None:
    url, _ = start_api()
    assert (fresh(url)["alive"], fresh(url)["as_of"]) == (False, None)
    process = system.process("projector", tmp_path / "a")
    wait_until(lambda: fresh(url)["alive"] and fresh(url)["as_of"], "never fresh")
    begun = fresh(url)["as_of"]
    wait_until(lambda: fresh(url)["as_of"] > begun, "an idle topic does not stay fresh")
    idle = httpx.get(f"{url}/jobs", timeout=120)
    assert (idle.headers["Jobtrail-Lag-Events"], idle.headers["Jobtrail-Projector"]) == ("0", "running")
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: fresh(url)["state"] == "dead", "a stopped projector passes for alive")
    stood = fresh(url)
    wait_until(lambda: fresh(url)["lag_seconds"] > stood["lag_seconds"], "the age stands still")
    assert fresh(url)["as_of"] == stood["as_of"]
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: fresh(url)["alive"], "not alive again")
    process.kill()
    wait_until(lambda: not fresh(url)["alive"], "a killed projector passes for alive")
    assert check(url, "kafka")["ok"]
    assert not check(url, "projector")["ok"]


def test_one_partition_behind_is_told_by_its_watermark_and_is_not_as_old_as_the_silence_before(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any, database_url: str
) -> None:
    url, _ = start_api()
    system.projector()
    system.send(stream.jobs(5))

    def measured() -> dict[str, Any]:
        return httpx.get(f"{url}/freshness", timeout=120).json()["jobs"]

    wait_until(
        lambda: (
            all(one["end_offset"] == one["next_offset"] for one in measured()["partitions"])
            and sum(one["next_offset"] for one in measured()["partitions"]) > 5
        ),
        "not read",
    )
    begun = fresh(url)["as_of"]
    wait_until(lambda: fresh(url)["as_of"] > begun, "nobody looks at the ends")
    # The topic has been idle for an hour when the next event comes, and its partition's row is held by somebody.
    connection.execute("UPDATE tracker.consumer_offset SET applied_at = applied_at - interval '1 hour'")
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT 1 FROM tracker.consumer_offset WHERE topic = %s FOR UPDATE", [system.topics.events])
        system.send(stream.job(9, attempts=0, progresses=0, finished=False))
        wait_until(lambda: fresh(url)["lag_events"] == 1, "the end is not seen")
        behind = [one for one in measured()["partitions"] if one["lag_events"]]
        assert [one["end_offset"] - one["next_offset"] for one in behind] == [1]
        assert 0 < fresh(url)["lag_seconds"] < 1800
        wait_until(lambda: fresh(url)["alive"], "who waits passes for dead")
    wait_until(lambda: fresh(url)["lag_events"] == 0, "not read after all")


def test_a_new_partition_counts_before_anybody_reads_it(
    *, system: Any, kafka: str, start_api: Any, wait_until: Any
) -> None:
    url, _ = start_api()
    stop = system.projector()
    wait_until(lambda: fresh(url)["as_of"], "never fresh")
    stop.set()
    system.end_projectors()
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_partitions([NewPartitions(system.topics.events, 7)]).values():
        future.result(120)
    wait_until(lambda: len(admin.list_topics(timeout=120).topics[system.topics.events].partitions) == 7)
    for number in range(3):
        system.send_raw(str(number).encode(), partition=6)
    system.flush()
    system.projector("b")
    wait_until(
        lambda: any(
            (one["partition"], one["next_offset"], one["end_offset"]) == (6, 3, 3)
            for one in httpx.get(f"{url}/freshness", timeout=120).json()["jobs"]["partitions"]
        ),
        "the new partition is not told",
    )


@pytest.mark.long
def test_two_trackers_are_listed_and_one_is_enough(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    url, _ = start_api()
    one, other = (system.process("projector", tmp_path / name) for name in ("a", "b"))

    def states() -> list[str]:
        return sorted(instance["state"] for instance in check(url, "projector").get("instances", []))

    wait_until(lambda: states() == ["running", "running"], "not both are listed")
    one.kill()
    events = stream.jobs(10)
    system.send(events)
    wait_until(lambda: system.count(connection, "event") == len(events), (tmp_path / "b").read_text())
    wait_until(lambda: states() == ["dead", "running"], "the dead one is not told")
    wait_until(lambda: fresh(url)["lag_events"] == 0, "never fresh")
    wait_until(lambda: fresh(url)["alive"] and check(url, "projector")["ok"], "one is not enough")
    assert other.poll() is None


@pytest.mark.long
def test_readiness_names_what_is_away_and_questions_are_answered_without_kafka(
    *, system: Any, connection: Any, postgres_server: str, start_api: Any, stream: Any, wait_until: Any
) -> None:
    cut_off, _ = start_api(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    url, _ = start_api()
    system.projector()
    events = stream.jobs(3)
    system.send(events)
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    assert httpx.get(f"{cut_off}/readyz", timeout=120).status_code == 503
    assert (check(cut_off, "kafka")["ok"], check(cut_off, "postgresql")["ok"]) == (False, True)
    asked = httpx.get(f"{cut_off}/jobs", timeout=120)
    assert asked.json()["jobs"]
    assert float(asked.headers["Jobtrail-Lag"]) >= 0
    name = connection.info.dbname
    with psycopg.connect(postgres_server, autocommit=True) as administrator:
        administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        administrator.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        wait_until(lambda: not check(url, "postgresql")["ok"], "PostgreSQL passes for present")
        assert check(url, "kafka")["ok"]
        assert httpx.get(f"{url}/jobs", timeout=120).status_code == 503
        administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_until(lambda: check(url, "postgresql")["ok"] and check(url, "projector")["ok"], "not ready again")
    # The connections of before are dead; nobody who asks notices.
    assert [httpx.get(f"{url}/jobs", timeout=120).status_code for _ in range(10)] == [200] * 10


def test_a_row_is_read_in_the_snapshot_of_its_freshness(system: Any) -> None:
    """What is asked together must see one state."""
    bootstrap.prepare_schema(system.settings, lambda _: False)

    async def same(row: Any, now: datetime) -> dict[str, Any]:
        return {"same": row["begun"] == now, "isolation": row["isolation"]}

    async def ask() -> Any:
        async with reader_pool(system.database_url, 1) as pool:
            reader = SnapshotReader(
                pool, CommitNotifications(system.database_url), "jobs", "items", {"jobs": ["t"], "items": ["t"]}
            )
            statement = "SELECT 'one' AS job_id, now() AS begun, current_setting('transaction_isolation') AS isolation"
            answers = [await reader.answer_row(statement, {}, same, WaitFor({}, 0)) for _ in range(8)]
            return [json.loads(bytes(answer.body)) for answer in answers]

    for answer in asyncio.run(ask()):
        assert (answer["same"], answer["isolation"]) == (True, "repeatable read")


def test_a_projector_whose_kafka_hangs_is_not_told_to_be_dead(
    *, system: Any, connection: Any, kafka: str, database_url: str, wait_until: Any
) -> None:
    bootstrap.prepare_servers(system.settings, lambda _: False)
    asked, answers = threading.Event(), threading.Event()

    class Hanging(Broker):
        def ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
            asked.set()
            answers.wait(120)
            return super().ends(partitions)

    def beat_at() -> Any:
        return connection.execute("SELECT max(beat_at) FROM tracker.projector").fetchone()[0]

    def end() -> Any:
        return connection.execute("SELECT count(*) FROM tracker.partition_end").fetchone()[0]

    heartbeat = Heartbeat(
        database_url=database_url,
        broker=Hanging(kafka),
        projection="tracker-jobs",
        topics=[system.topics.events],
        instance="i",
        status=Status(time.monotonic),
    )
    heartbeat.start()
    try:
        assert asked.wait(120)
        wait_until(beat_at, "no beat")
        for _ in range(2):
            before = beat_at()
            wait_until(lambda before=before: beat_at() > before, "no beat while Kafka hangs")
        assert end() == 0
        answers.set()
        wait_until(lambda: end() > 0, "its answer is forgotten")
    finally:
        answers.set()
        heartbeat.stop()
