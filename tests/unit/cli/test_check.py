"""`jobtrail check` names what is down and what needs attention."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException

from jobtrail import check
from service_kit.processes import CONSUMER_GROUPS

CHECK_API, INSTANCES = check._api, check._instances  # before the fixture replaces them
DEAD_LETTERS = {"dead_letters": [{"consumer": "puller", "reason": "no [/JSON]"}], "total_text": "12"}
HOLD = {"tenant": "demo", "account": "shop", "requested_by": "lan", "since": "2026-01-02T03:04:05Z", "reason": ""}
HOLDS = [HOLD | {"kind": "account"}, HOLD | {"kind": "queue", "reason": "moving"}]
DEAD = {"as_of": "2026-01-02T03:04:05Z", "lag_events": 0, "lag_seconds": 41.0, "alive": False}


class Broker:
    """Lists every group but the agent's, and a foreign one; the group of the syncer has no member."""

    def __init__(self, _: object) -> None:
        pass

    def list_consumer_groups(self, **_: object) -> Future[Any]:
        known = [*(set(CONSUMER_GROUPS) - {"matcher-agent"}), "stranger"]
        listed: Future[Any] = Future()
        listed.set_result(SimpleNamespace(valid=[SimpleNamespace(group_id=name) for name in known]))
        return listed

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere")
    monkeypatch.setenv("DATABASE_URL", "nowhere")
    for part in ("_postgres", "_kafka", "_api", "_instances"):
        monkeypatch.setattr(check, part, lambda *_: "up")
    monkeypatch.setattr(check, "AdminClient", Broker)
    monkeypatch.setattr(check, "Consumer", Broker)
    monkeypatch.setattr(check, "_lag", lambda *_: 7)
    empty = ("syncer", "matcher-agent", "stranger")
    monkeypatch.setattr(check, "group_members", lambda _admin, group, _seconds: 0 if group in empty else 1)


def test_groups_without_members_are_marked_also_groups_that_never_existed(api: Any, run: Any) -> None:
    api(lambda _: httpx.Response(200, json={"dead_letters": [], "queues": []}))
    ended = run("check")
    assert ended.code == 1
    assert [line.split()[2] for line in ended.out.splitlines() if "✘" in line] == ["matcher-agent:", "syncer:"]
    assert "!" not in ended.out


def test_a_process_without_an_instance_is_marked(api: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_instances", INSTANCES)
    counts = iter([2, 0])
    monkeypatch.setattr(check, "instances_at_work", lambda *_: next(counts))
    monkeypatch.setattr(check, "group_members", lambda *_: 1)
    api(lambda _: httpx.Response(200, json={"dead_letters": [], "queues": []}))
    said = run("check")
    assert (said.code, "✔ tracker-scheduler: 2 at work" in said.out) == (0, True)
    said = run("check")
    assert (said.code, "✘ tracker-scheduler: no instance is at work" in said.out) == (1, True)


def test_what_needs_attention_is_shown(api: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "group_members", lambda *_: 1)
    newer = {"total": 2, "reasons": [{"reason": "this version does not know the type RESIZE", "count": 2}]}
    queues = [
        {"service": "puller", "holds": HOLDS},
        {"service": "matcher", "holds": [], "waiting_for_upgrade": {"total": 0, "reasons": []}},
        {"service": "syncer", "holds": [], "waiting_for_upgrade": newer},
    ]
    api(lambda _: httpx.Response(200, json=DEAD_LETTERS | {"queues": queues, "freshness": DEAD}))
    ended = run("check")
    assert ended.code == 0
    assert [line[2:] for line in ended.out.splitlines() if line.startswith("!")] == [
        "Dead letters: 12, the newest by puller: no [/JSON]; see http://tracker.test/dead-letters",
        "puller: paused: account demo/shop since 2026-01-02T03:04:05Z, by lan: no reason given",
        "puller: paused: whole queue since 2026-01-02T03:04:05Z, by lan: moving",
        "syncer: 2 jobs or chain steps wait for a newer version: 2 × this version does not know the type RESIZE",
        "The job table: as of 2026-01-02T03:04:05Z, 41 s behind; no projector runs",
    ]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            503,
            {
                "ready": False,
                "checks": [{"name": "kafka", "ok": True}, {"name": "items", "ok": False, "detail": "none"}],
            },
            "at http://tracker.test is not ready: items: none",
        ),
        (503, {"ready": False, "checks": []}, "at http://tracker.test is not ready: no reason given"),
        (502, None, "http://tracker.test is not a tracker: it answers 502 without a readiness report"),
        (200, {"ready": "no"}, "http://tracker.test is not a tracker: it answers 200 without a readiness report"),
    ],
)
def test_readiness_is_shown_in_words(
    monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any] | None, said: str
) -> None:
    answer = httpx.Response(status, json=body) if body else httpx.Response(status, text="<html>")
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    with pytest.raises(ValueError, match=r".") as refused:
        CHECK_API("http://tracker.test")
    assert str(refused.value) == said


def test_a_service_that_has_never_started_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"ready": True, "checks": [], "notes": ["matcher has never started: its lists are empty"]}
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, json=body))
    assert CHECK_API("http://tracker.test") == (
        "ready at http://tracker.test. matcher has never started: its lists are empty"
    )


def test_an_unknown_lag_is_reported(api: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> int:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    monkeypatch.setattr(check, "group_members", down)
    api(lambda _: httpx.Response(200, json={"dead_letters": [], "queues": []}))
    ended = run("check")
    assert ended.code == 1 and "Kafka: the lag of the groups is unknown" in ended.out
