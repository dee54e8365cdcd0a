"""No poison stops a partition: each bad record ends as a dead letter at its position, its neighbours are applied."""

from typing import Any

import psycopg
import pytest

from job_tracker import bootstrap
from job_tracker.projector.jobs_projection import JobsContent, JobsProjection


def letters(connection: Any) -> list[tuple[Any, ...]]:
    return connection.execute(
        'SELECT reason, job_id FROM tracker.dead_letter ORDER BY topic, partition, "offset"'
    ).fetchall()


@pytest.fixture
def migrated(system: Any, connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    bootstrap.prepare_servers(system.settings, lambda _: False)
    return connection


def poisons(stream: Any) -> list[tuple[bytes | None, str]]:
    """Bytes and a part of the reason they must be given."""
    import json

    good = stream.job(900, attempts=1, progresses=1)
    progress = next(event for event in good if event["type"] == "job.progress.v1")

    def changed(data: dict[str, Any] | None = None, **envelope: Any) -> bytes:
        return json.dumps(progress | envelope | {"data": progress["data"] | (data or {})}).encode()

    return [
        (b"\xff\xfe not json", "no JSON object"),
        (b"", "no JSON object"),
        (b"[1, 2]", "no JSON object but list"),
        (None, "tombstone"),
        (changed(type="job.exploded.v1"), "unknown type 'job.exploded.v1'"),
        (changed(type="item.recorded.v1"), "missing required field `item`"),
        (changed({"phase": "a\x00b"}), "U+0000"),
        (changed({"metadata": {"deep": ["\x00"]}}), "U+0000"),
        (changed({"counters": progress["data"]["counters"] | {"processed": -1}}), ">= 0"),
        (changed({"counters": progress["data"]["counters"] | {"processed": 2**60}}), "<= 9007199254740991"),
        (changed({"attempt": -1}), ">= 0"),
        (changed(time="+99999-01-01T00:00:00Z"), "RFC3339"),
        (changed(time="9999-01-01T00:00:00Z"), "1970 to 3000"),
        (changed(subject="no spaces allowed"), "regex"),
        (changed({"metadata": "x" * 10}), "object"),
        (changed({"metadata": {"deep": 0}}).replace(b"0}", b"[" * 980 + b"]" * 980 + b"}"), "deeper than 500 levels"),
    ]


def test_each_poison_is_a_dead_letter_and_its_neighbours_are_applied(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    good = stream.jobs(12)
    bad = poisons(stream)
    halves = good[: len(good) // 2], good[len(good) // 2 :]
    system.send(halves[0])
    for value, _ in bad:
        system.send_raw(value, key=b"poison")
    # A backslash before the text u0000 is no NUL.
    fine = stream.job(901, attempts=1, progresses=1, finished=False)
    fine[-1]["data"]["metadata"] = {"path": "C:\\u0000"}
    system.send([*halves[1], *fine])
    system.projector()
    total = len(good) + len(fine)
    wait_until(lambda: system.count(connection, "event") == total, "not all good events were applied")
    wait_until(lambda: len(letters(connection)) == len(bad), f"{letters(connection)}")
    for (_, part), (reason, _) in zip(bad, letters(connection), strict=True):
        assert part in reason
    assert any(job_id and job_id.endswith("-900") for _, job_id in letters(connection))
    assert shown(connection) == oracle(good + fine)


def test_what_only_postgresql_refuses_is_found_by_halving(
    *, system: Any, migrated: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    migrated.execute("ALTER TABLE tracker.event ADD CONSTRAINT poison CHECK (phase IS DISTINCT FROM 'poison')")
    events = stream.shaken(stream.jobs(20))
    progress = [event for event in events if event["type"] == "job.progress.v1"]
    poisoned = {event["id"] for event in progress[:3]}
    sent = [
        event | {"data": event["data"] | {"phase": "poison"}} if event["id"] in poisoned else event for event in events
    ]
    good = [event for event in sent if event["id"] not in poisoned]
    system.send(sent)
    system.projector(jobtrail_batch_events=5000)
    wait_until(lambda: system.count(migrated, "event") == len(good), "not all good events were applied")
    assert len(letters(migrated)) == len(sent) - len(good)
    assert all("23514" in reason for reason, _ in letters(migrated))
    assert shown(migrated) == oracle(good)


class _Troubled(JobsProjection):
    """A projection that cannot make the bytes of some jobs' rows, and that needs its time for each."""

    def __init__(self, topics: Any, broken: set[str], seconds: float) -> None:
        super().__init__(topics)
        self._broken, self._seconds = broken, seconds
        self.packed: list[int] = []
        self.written: list[int] = []

    def pack(self, content: JobsContent) -> None:
        if self._broken & content.jobs.keys():
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        self.packed.append(len(content.jobs))
        super().pack(content)

    def write(self, cursor: Any, content: JobsContent) -> int:
        changed = super().write(cursor, content)
        cursor.execute("SELECT pg_sleep(%s)", [self._seconds * changed])
        self.written.append(changed)
        return changed


def test_what_only_the_driver_refuses_is_found_by_halving(
    *, system: Any, migrated: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    events = stream.jobs(20)
    bad = [event for event in events if event["subject"] == events[0]["subject"]]
    good = [event for event in events if event["subject"] != events[0]["subject"]]
    system.send(events)
    system.keep(_Troubled(system.topics, {bad[0]["subject"]}, 0))
    wait_until(lambda: system.count(migrated, "event") == len(good), "not all good events were applied")
    assert len(letters(migrated)) == len(bad)
    assert all("surrogates" in reason for reason, _ in letters(migrated))
    assert shown(migrated) == oracle(good)


def test_a_batch_that_takes_too_long_is_written_in_parts(
    *, system: Any, migrated: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("job_tracker.store.postgres._NOT_FOREVER", "-c transaction_timeout=500ms")
    events = stream.jobs(24)
    system.send(events)
    projection = _Troubled(system.topics, set(), 0.05)
    system.keep(projection)
    wait_until(lambda: system.count(migrated, "event") == len(events), "not all events were applied")
    assert shown(migrated) == oracle(events)
    assert max(projection.packed) > 10 >= max(projection.written)  # seconds for more than ten jobs were not given


def test_items_and_the_letters_of_other_services(*, system: Any, connection: Any, stream: Any, wait_until: Any) -> None:
    item = stream.envelope(
        "item.recorded.v1",
        "job-1",
        "job-1/sku-7/0",
        stream.start,
        {
            "job": {"type": "PRODUCT_SYNC", "account": "shop"},
            "attempt": 0,
            "item": "sku-7",
            "action": "updated",
            "ids": {"nhanh": "7"},
            "response_ms": 12,
            "changes": [{"name": "price", "before": "1", "after": "2"}],
        },
    )
    letter = {
        "type": "job.dead-letter.v1",
        "specversion": "1.0",
        "id": "x",
        "source": "jobtrail/puller/1",
        "time": item["time"],
        "data": {"topic": "jobs.requests.puller", "partition": 2, "offset": 41, "consumer": "puller", "reason": "no"},
    }
    import json

    for _ in range(2):
        system.send([item], system.topics.items)
        system.send_raw(json.dumps(letter).encode(), system.topics.dead_letters)
    # A name that no topic has, and no index takes; it cannot be compressed.
    names = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(1024))
    odd = letter["data"] | {"topic": names[:512], "consumer": names[512:]}
    system.send_raw(json.dumps(letter | {"data": odd}).encode(), system.topics.dead_letters)
    system.send_raw(b"{", system.topics.dead_letters)
    system.send_raw(b"{", system.topics.items)
    system.flush()
    system.projector(part="items")
    wait_until(lambda: system.count(connection, "dead_letter") == 4, "letters are missing")
    wait_until(lambda: system.count(connection, "item") == 1, "the item is missing")
    assert connection.execute("SELECT item, action, response_ms FROM tracker.item").fetchall() == [
        ("sku-7", "updated", 12)
    ]
    assert connection.execute(
        "SELECT partition, \"offset\", reason FROM tracker.dead_letter WHERE consumer = 'puller'"
    ).fetchall() == [(2, 41, "no")]
