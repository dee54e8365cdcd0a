"""Smoke test of the benchmarks at their smallest size. No figure is checked against a bound."""

import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest
from bench.drains import measure_drains
from bench.figures import Figures
from bench.jobtrail_visible import jobtrail_visible
from bench.peers.debezium_history import HISTORY, INDEX, DebeziumWithHistory
from bench.peers.python_peer import PythonPeer
from bench.peers.table import TABLE
from bench.plan import SMOKE
from bench.reads import get, open_table
from bench.reads_requests import READ_REQUESTS
from bench.report import page
from bench.sections import measure_claims, measure_emitter, measure_right_or_wrong
from bench.stage import Stage
from bench.visible import peer_visible

from service_kit.database import migrate


@pytest.fixture
def stage(kafka: str, postgres_server: str, tmp_path: Path) -> Stage:
    return Stage(kafka, postgres_server, tmp_path)


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    about = {"date": "2026-11-24", "commit": "", "machine": "this", "system": "one", "versions": {"Kafka": "4"}}
    return Figures(tmp_path / "results.json", about)


def plain_loop() -> PythonPeer:
    return PythonPeer("plain_unnest", "loop_unnest")


@pytest.mark.long
def test_a_drain_is_measured_beside_its_peers_and_limits(stage: Stage, figures: Figures, tmp_path: Path) -> None:
    peers = [plain_loop(), PythonPeer("plain_event", "loop_by_event", slow=True)]
    measure_drains(stage, figures, SMOKE, peers, same_work=PythonPeer("debezium_history", "loop_unnest"))
    results = json.loads((tmp_path / "results.json").read_text())
    wanted = {"drain_rate", "drain_plain_unnest", "drain_plain_event", "drain_vs_best_peer", "drain_vs_copy"}
    wanted |= {"drain_debezium_history", "drain_vs_same_work", "copy_rate", "copy_rate_no_indexes", "consume_rate"}
    assert wanted <= results["figures"].keys()
    assert all(found["value"] > 0 for found in results["figures"].values())
    text = "\n".join(page(results["about"], results["figures"]))
    assert "limit: raw COPY" in text
    assert text.index("`drain_vs_same_work`") < text.index("`drain_vs_best_peer`") < text.index("## How it is measured")


@pytest.mark.long
def test_jobtrail_is_right_where_its_peers_are_wrong(stage: Stage, figures: Figures) -> None:
    peers = [plain_loop(), PythonPeer("faust_take", "faust_agents", "take", slow=True)]
    measure_right_or_wrong(stage, figures, SMOKE, peers)
    assert figures["wrong_jobtrail"] == 0
    for peer in peers:
        assert figures[f"wrong_{peer.name}"] > 0


@pytest.mark.long
def test_events_become_visible_in_the_api_and_in_a_peers_table(stage: Stage) -> None:
    live = jobtrail_visible(stage, 100, SMOKE.settle_seconds, SMOKE.live_seconds)
    assert live.visible.seconds
    assert live.visible.pace > 0
    assert peer_visible(stage, plain_loop(), 100, SMOKE.settle_seconds, SMOKE.peer_live_seconds).seconds


@pytest.mark.long
def test_the_claim_is_measured(stage: Stage, figures: Figures) -> None:
    measure_claims(stage, figures, SMOKE)
    assert 0 < figures["claim_p50_100k"] <= figures["claim_p99_100k"]


@pytest.mark.long
def test_the_emitters_cost_is_measured_with_and_without_a_broker(stage: Stage, figures: Figures) -> None:
    measure_emitter(stage, figures, SMOKE)
    assert figures["progress_kafka_up"] > 0
    assert figures["progress_event_kafka_away"] > 0


@pytest.mark.long
def test_every_request_of_the_read_benchmark_succeeds(kafka: str, postgres_server: str, tmp_path: Path) -> None:
    with (
        open_table(kafka, postgres_server, 2000, tmp_path) as table,
        closing(HTTPConnection("127.0.0.1", table.port, timeout=120)) as client,
    ):
        for make_path in READ_REQUESTS.values():
            assert get(client, make_path(table.chance)) > 0


def test_a_job_of_debezium_with_history_counts_as_far_as_both_tables_hold_it(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in (TABLE, "ALTER TABLE job ADD COLUMN total_at_start bigint", HISTORY, INDEX):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO job (job_id, state, processed) VALUES"
            " ('ahead', 'job.finished.v1', 30), ('both', 'job.finished.v1', 30), ('missing', 'job.started.v1', NULL)"
        )
        connection.execute(
            "INSERT INTO history (__connect_topic, __connect_partition, __connect_offset, job_id, type, processed)"
            " VALUES"
            " ('t', 0, 1, 'ahead', 'job.started.v1', NULL), ('t', 0, 2, 'ahead', 'job.progress.v1', 10),"
            " ('t', 0, 3, 'both', 'job.progress.v1', 10), ('t', 0, 4, 'both', 'job.finished.v1', 30)"
        )
        rows = connection.execute(f"SELECT job_id, state, processed FROM ({DebeziumWithHistory.final}) AS final")
        assert set(rows) == {("ahead", "running", 10), ("both", "finished", 30)}


def test_the_history_of_debezium_has_the_indexes_of_jobtrails_history(database_url: str) -> None:
    prepare = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(HISTORY)
        connection.execute(INDEX)
        theirs = connection.execute(prepare, ["public", "history"]).fetchall()
    migrate(database_url, "tracker", ["job_tracker.store"])
    with psycopg.connect(database_url, autocommit=True) as connection:
        ours = connection.execute(prepare, ["tracker", "event_default"]).fetchall()
    assert len(ours) == len(theirs) == 2
    assert all(any("(job_id, appended_at)" in definition for (definition,) in found) for found in (ours, theirs))
