"""A topic that is missing, or that is not the one that was read, stops its own partitions and nothing else."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import AdminClient
from tests.tracker_actions import recreate, run, trim

from job_tracker import bootstrap
from job_tracker.log.broker import Broker
from service_kit.kafka_admin import create_topics


@pytest.fixture
def delete(system: Any, wait_until: Any) -> Callable[..., None]:
    admin = AdminClient({"bootstrap.servers": system.kafka})

    def gone(*topics: str) -> None:
        for future in admin.delete_topics(list(topics)).values():
            future.result(120)
        broker = Broker(system.kafka)
        wait_until(lambda: not broker.topic_ids(topics), "not deleted")

    return gone


@pytest.fixture
def url(start_api: Any) -> str:
    address, _ = start_api()
    return address


def part(url: str, name: str) -> Any:
    return httpx.get(f"{url}/freshness", timeout=120).json()[name]


def unready(url: str, name: str, *said: str) -> bool:
    """Whether /readyz answers 503, and the check of that name says all this."""
    answer = httpx.get(f"{url}/readyz", timeout=120)
    (check,) = [one for one in answer.json()["checks"] if one["name"] == name]
    return answer.status_code == 503 and not check["ok"] and all(one in check["detail"] for one in said)


def asked(stream: Any, number: int) -> list[Any]:
    return stream.job(number, attempts=0, progresses=0, finished=False)


@pytest.mark.parametrize("idle", [True, False])
def test_a_topic_deleted_while_it_is_read_stops_alone(
    *, system: Any, connection: Any, stream: Any, url: str, delete: Any, wait_until: Any, idle: bool
) -> None:
    lost, kept = system.topics.requests("matcher"), system.topics.events
    system.send(asked(stream, 1), lost)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == 1, "not read")
    delete(lost)
    if not idle:  # before anybody has looked
        system.send(stream.job(2), kept)
    wait_until(lambda: unready(url, "projector", lost, "missing"), "the missing topic is not named")
    assert unready(url, "kafka", lost)
    held = system.count(connection, "event")
    more = stream.job(3)
    system.send(more, kept)
    wait_until(lambda: system.count(connection, "event") >= held + len(more), "the other topics are not read")
    found = part(url, "jobs")
    assert (found["freshness"]["state"], found["faults"][0]["topic"]) == ("partial", lost)
    before = found["freshness"]
    wait_until(lambda: part(url, "jobs")["freshness"]["lag_seconds"] > before["lag_seconds"] + 1, "it is called fresh")
    assert part(url, "jobs")["freshness"]["as_of"] == before["as_of"]
    # Made anew it is another one: a loud stop, of this topic alone.
    create_topics(system.kafka, system.topics)
    wait_until(lambda: unready(url, "projector", lost, "was recreated"), "a recreated topic is not told")
    held = system.count(connection, "event")
    system.send(asked(stream, 4), lost)
    more = stream.job(5)
    system.send(more, kept)
    wait_until(lambda: system.count(connection, "event") >= held + len(more), "the other topics are not read")
    assert system.count(connection, "event") == held + len(more)


def test_topics_that_were_missing_are_read_when_they_appear(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    url: str,
    delete: Any,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of them, missing at the start of a projector that may not create them."""
    absent = [system.topics.requests("puller"), system.topics.requests("syncer")]
    delete(*absent)
    with monkeypatch.context() as patched:
        patched.setattr(bootstrap, "create_topics", lambda *_, **__: None)
        system.projector()
        events = stream.job(1)
        system.send(events)
        wait_until(lambda: system.count(connection, "event") == len(events), "what there is, is not read")
        wait_until(lambda: unready(url, "projector", *absent), "the missing topics are not named")
        assert part(url, "jobs")["freshness"]["as_of"] is None
    create_topics(system.kafka, system.topics)
    for number, topic in enumerate(absent, 10):
        events += asked(stream, number)
        system.send(events[-1:], topic)
    wait_until(lambda: system.count(connection, "event") == len(events), "a topic that appeared is not read")
    assert shown(connection) == oracle(events)
    wait_until(lambda: httpx.get(f"{url}/readyz", timeout=120).json()["checks"][2]["ok"], "not ready again")
    wait_until(lambda: part(url, "jobs")["freshness"]["state"] == "running", "not fresh again")
    assert part(url, "jobs")["freshness"]["as_of"] is not None


@pytest.mark.parametrize("name", ["items", "dead_letters"])
def test_the_items_projector_goes_on_without_one_of_its_topics(
    *, system: Any, connection: Any, stream: Any, url: str, delete: Any, wait_until: Any, name: str
) -> None:
    lost, kept = system.topics.items, system.topics.dead_letters
    if name == "dead_letters":
        lost, kept = kept, lost
    system.projector(part="items")
    wait_until(lambda: part(url, "items")["freshness"]["as_of"], "never fresh")
    delete(lost)
    wait_until(lambda: unready(url, "items", lost, "missing"), "the missing topic is not named")
    system.send_raw(b"poison", kept, b"key")
    system.flush()
    wait_until(lambda: system.count(connection, "dead_letter") == 1, "the other topic is not read")
    assert part(url, "items")["freshness"]["state"] == "partial"


@pytest.mark.parametrize("at_work", [True, False])
def test_a_trimmed_partition_stops_alone_and_is_read_again_after_the_loss_was_accepted(
    *,
    system: Any,
    connection: Any,
    stream: Any,
    url: str,
    wait_until: Any,
    tmp_path: Path,
    at_work: bool,
) -> None:
    """Whoever works is not restarted for it."""
    topic = system.topics.events
    for number in range(3):
        system.send_raw(b"poison", topic, partition=number)
    system.flush()
    process = system.process("projector", tmp_path / "log")
    wait_until(lambda: system.count(connection, "dead_letter") == 3, "not read")
    process.send_signal(signal.SIGSTOP if at_work else signal.SIGTERM)
    if not at_work:
        process.wait(120)
    # A fetch that was sent before the process stopped may return the first of these, but not the next ones too.
    for number in range(9):
        system.send_raw(b"poison" * 150_000 if number % 3 == 1 else b"poison", topic, partition=number % 3)
    system.flush()
    trim(system, (topic, 1, 3))
    if at_work:
        process.send_signal(signal.SIGCONT)
    else:
        process = system.process("projector", tmp_path / "log")
    wait_until(lambda: system.count(connection, "dead_letter") >= 9, "the other partitions are not read")
    wait_until(lambda: unready(url, "projector", f"{topic}[1]"), (tmp_path / "log").read_text())
    done = run(system, "rebuild", "--swap", "--accept-loss", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: part(url, "jobs")["freshness"]["state"] == "running", "it does not go on by itself")
    wait_until(lambda: part(url, "jobs")["freshness"]["lag_events"] == 0, "the rest of the log is not read")
    assert process.poll() is None


def test_a_topic_recreated_under_a_projector_at_work_is_written_from_no_more(
    *, system: Any, connection: Any, stream: Any, url: str, wait_until: Any
) -> None:
    topic = system.topics.events
    events = stream.job(1)
    system.send(events)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    recreate(system, topic, wait_until)
    other = stream.job(2)
    system.send(other)
    wait_until(lambda: unready(url, "projector", topic), "it is not told")
    kept = asked(stream, 3)
    system.send(kept, system.topics.requests("puller"))
    wait_until(lambda: system.count(connection, "event") > len(events), "the other topics are not read")
    assert system.count(connection, "event") == len(events) + 1
    known = "SELECT count(*) FROM tracker.job WHERE job_id = %s"
    assert connection.execute(known, [other[0]["subject"]]).fetchone() == (0,)
