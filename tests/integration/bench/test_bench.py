"""The benchmarks at their smallest, so that they still work on the day they are wanted. No figure is judged here."""

import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from bench.drains import measure_drains
from bench.figures import Figures
from bench.jobtrail_visible import jobtrail_visible
from bench.peers.python_peer import PythonPeer
from bench.plan import SMOKE
from bench.reads import ask, open_table
from bench.reads_questions import QUESTIONS
from bench.report import page
from bench.sections import measure_emitter, measure_right_or_wrong
from bench.stage import Stage
from bench.visible import peer_visible


@pytest.fixture
def stage(kafka: str, postgres_server: str, tmp_path: Path) -> Stage:
    return Stage(kafka, postgres_server, tmp_path)


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    about = {"date": "2026-11-24", "commit": "", "machine": "this", "system": "one", "versions": {"Kafka": "4"}}
    return Figures(tmp_path / "results.json", about)


def plain_loop() -> PythonPeer:
    return PythonPeer("plain_unnest", "loop_unnest")


def test_a_drain_is_measured_beside_its_peers_and_limits(stage: Stage, figures: Figures, tmp_path: Path) -> None:
    measure_drains(stage, figures, SMOKE, [plain_loop(), PythonPeer("plain_event", "loop_by_event", slow=True)])
    results = json.loads((tmp_path / "results.json").read_text())
    wanted = {"drain_rate", "drain_plain_unnest", "drain_plain_event", "drain_vs_best_peer", "drain_vs_copy"}
    assert wanted | {"copy_rate", "copy_rate_no_indexes", "consume_rate"} <= results["figures"].keys()
    assert all(found["value"] > 0 for found in results["figures"].values())
    text = "\n".join(page(results["about"], results["figures"]))
    assert "limit: raw COPY" in text


def test_jobtrail_is_right_where_its_peers_are_wrong(stage: Stage, figures: Figures) -> None:
    peers = [plain_loop(), PythonPeer("faust_take", "faust_agents", "take", slow=True)]
    measure_right_or_wrong(stage, figures, SMOKE, peers)
    assert figures["wrong_jobtrail"] == 0
    for peer in peers:
        assert figures[f"wrong_{peer.name}"] > 0


def test_events_are_seen_by_the_api_and_in_a_peers_table(stage: Stage) -> None:
    live = jobtrail_visible(stage, 100, SMOKE.settle_seconds, SMOKE.live_seconds)
    assert live.visible.seconds
    assert live.visible.pace > 0
    assert peer_visible(stage, plain_loop(), 100, SMOKE.settle_seconds, SMOKE.peer_live_seconds).seconds


def test_the_emitters_cost_is_measured_with_and_without_a_broker(stage: Stage, figures: Figures) -> None:
    measure_emitter(stage, figures, SMOKE)
    assert figures["progress_kafka_up"] > 0
    assert figures["progress_event_kafka_away"] > 0


def test_every_question_of_the_reads_is_answered(kafka: str, postgres_server: str, tmp_path: Path) -> None:
    with (
        open_table(kafka, postgres_server, 2000, tmp_path) as table,
        closing(HTTPConnection("127.0.0.1", table.port, timeout=120)) as client,
    ):
        for question in QUESTIONS.values():
            assert ask(client, question(table.chance)) > 0
