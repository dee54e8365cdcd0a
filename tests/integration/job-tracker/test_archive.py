"""The archive gives back every message byte for byte, joins without a gap, and carries a rebuild."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from rich.console import Console
from tests.checked_producer import CheckedProducer
from tests.tracker_actions import TOMORROW, archive_days, recreate, trim

from job_tracker import bootstrap_archive
from job_tracker.archive.catalogue import ArchiveCatalogue
from job_tracker.archive.files import PartWriter, exclusive_lock, read_segment
from job_tracker.archive.lines import Archived, read_line
from job_tracker.errors import ArchiveBusy, ArchiveDamaged, NotArchived
from job_tracker.log.records import Record


@pytest.fixture
def archive(system: Any, tmp_path: Path) -> Callable[..., str]:
    """Archives all days that are finished some time from now into the folder `archive`."""
    return partial(archive_days, system, tmp_path / "archive")


def log_of(kafka: str, topic: str, partition: int) -> list[tuple[Any, ...]]:
    """Every message of a partition by a consumer of its own: offset, time, key, value, headers."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "none",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    found: list[tuple[Any, ...]] = []
    while True:
        message = consumer.poll(30)
        assert message is not None
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF
            break
        headers = tuple(message.headers() or ())
        found.append((message.offset(), message.timestamp()[1], message.key(), message.value(), headers))
    consumer.close()
    return found


def test_every_message_comes_back_byte_for_byte(
    *, system: Any, kafka: str, archive: Any, stream: Any, tmp_path: Path
) -> None:
    """Whatever its bytes are, whatever its key and headers; and a transaction's markers leave holes."""
    topic = system.topics.events
    event = json.dumps(stream.job(1)[0], ensure_ascii=False).encode()
    values: list[bytes | None] = [
        *(event, b" " + event + b"\n", json.dumps(stream.job(2)[0], indent=1).encode(), b'{"a": 1.50, "a": 1.5}'),
        *(None, b"", b"{}", b"{", b"\xff\x00\xfe", b'"text"', b'{"a":"\xff"}', b'{"a":"\xc3\xa9"}', b"{" * 5000 + b"}"),
        *(b'{"a":"\\u0000\\ud800"}', b"[" * 100_000, os.urandom(100_000), b"{\r}"),
    ]
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic})
    producer.init_transactions(120)
    for number, value in enumerate(values):
        key = [None, b"", b"job-1", b"\xff"][number % 4]
        headers = [[], [("content-type", b"x"), ("content-type", None)], [("odd", b"\xff")]][number % 3]
        producer.begin_transaction()
        producer.produce(topic, value=value, key=key, headers=headers, partition=0)
        producer.commit_transaction(120)
    assert archive().count("days written") == 1
    catalogue = ArchiveCatalogue(tmp_path / "archive", [topic])
    (topic_id,) = catalogue.topic_ids(topic)
    (segment,) = [s for s in catalogue.segments(topic, topic_id) if s.part.partition == 0]
    found = []
    for line in subprocess.check_output(
        [
            sys.executable,
            "-c",
            "import sys, zstandard; zstandard.ZstdDecompressor().copy_stream(sys.stdin.buffer, sys.stdout.buffer)",
        ],
        stdin=segment.path.open("rb"),
    ).splitlines():
        record, headers = read_line(topic, 0, line)
        stamped = round(record.appended_at.timestamp() * 1000)
        found.append((record.offset, stamped, record.key, record.value, headers))
    assert found == log_of(kafka, topic, 0)
    assert [value for *_, value, _ in found] == values
    assert segment.part.records == len(values)
    assert segment.part.end - segment.part.start > len(values)
    # An event that stands in JSON as it is can be read by any tool.
    assert next(read_segment(segment, 5))[0].value == event


@pytest.mark.long
def test_an_archive_goes_on_where_it_ended_and_carries_a_rebuild_over_a_trimmed_log(
    *,
    system: Any,
    kafka: str,
    connection: Any,
    archive: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "archive"
    events = stream.shaken(stream.jobs(40))
    half = len(events) // 2
    system.send(events[:half])
    system.send_raw(b"\xff", key=b"bad")
    system.flush()
    assert archive() != archive()  # the second time there is nothing left to do
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    # The next day begins with the next offset, also in a partition that was added since.
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_partitions([NewPartitions(system.topics.events, 8)]).values():
        future.result(120)
    wait_until(lambda: len(admin.list_topics(system.topics.events, 120).topics[system.topics.events].partitions) == 8)
    producer = CheckedProducer(kafka)
    for event in events[half:]:
        partition = stream.random.randrange(8)
        key = event["subject"].encode()
        producer.produce(system.topics.events, json.dumps(event).encode(), key, partition=partition)
    producer.flush()
    archive(ahead=TOMORROW + timedelta(days=1))
    assert {path: path.read_bytes() for path in first} == first
    # The archive is all that is left of the first days.
    ends = {}
    catalogue = ArchiveCatalogue(folder, [system.topics.events])
    for segment in catalogue.all_segments():
        ends[segment.part.partition] = max(ends.get(segment.part.partition, 0), segment.part.end)
    trim(system, *((system.topics.events, number, end) for number, end in ends.items()))
    tail = stream.job(999)
    system.send(tail)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("jobtrail")), *arguments]
        environment = system.environment | {"JOBTRAIL_HOME": str(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    # An empty database: all jobs are missing, and the rebuild brings them; a projector goes on from there.
    done = run("rebuild", "--swap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown(connection) == oracle([*events, *tail])
    system.projector()
    more = stream.job(1001)
    system.send(more)
    whole = [*events, *tail, *more]
    wait_until(lambda: system.count(connection, "event") == len(whole), "the projector does not go on")
    assert shown(connection) == oracle(whole)
    assert run("rebuild").returncode == 0
    assert run("archive", "--verify").returncode == 0
    # Without the archive the rebuild would lose jobs; with a file that somebody changed it could.
    folder.rename(tmp_path / "elsewhere")
    assert "have left the log" in run("rebuild").stderr
    (tmp_path / "elsewhere").rename(folder)
    victim = next(iter(sorted(folder.rglob("*.zst"))))
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    for part in (("rebuild",), ("audit",), ("archive", "--verify")):
        refused = run(*part)
        assert refused.returncode == 2
        assert str(victim) in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_day_counts_when_its_manifest_is_there_and_only_if_days_join(
    *, system: Any, archive: Any, stream: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    topic = system.topics.events
    assert archive(ahead=timedelta()).startswith("0 days"), "today is not finished"
    system.send(stream.job(1))
    archive()
    (manifest,) = folder.rglob(f"{topic}/*/*/manifest.json")
    whole = manifest.read_bytes()
    # Killed before the manifest: the day is written anew.
    manifest.unlink()
    (manifest.parent / "0.jsonl.zst.part").write_bytes(b"half")
    assert ArchiveCatalogue(folder, [topic]).topic_ids(topic) == []
    archive()
    assert manifest.read_bytes() == whole
    # A manifest that does not join its neighbour is refused by name.
    later = manifest.parent.with_name("2999-01-01") / "manifest.json"
    later.parent.mkdir()
    changed = json.loads(whole) | {"day": "2999-01-01"}
    for part in changed["parts"]:
        part["from"], part["to"] = part["to"] + 1, part["to"] + 2
    later.write_text(json.dumps(changed))
    with pytest.raises(ArchiveDamaged, match="2999-01-01"):
        ArchiveCatalogue(folder, [topic])
    later.unlink()
    # What left the log before it was archived is said, not skipped.
    part = json.loads(whole)["parts"][0]
    system.send_raw(b"{}", key=b"k", partition=part["partition"])
    system.send_raw(b"{}", key=b"k", partition=part["partition"])
    system.flush()
    trim(system, (topic, part["partition"], part["to"] + 1))
    with pytest.raises(NotArchived, match=f"{part['to']} to {part['to'] + 1} left the log"):
        archive(ahead=TOMORROW + timedelta(days=1))


def test_a_partition_that_was_trimmed_before_its_first_day_is_told_unless_the_archive_began_there(
    *, system: Any, archive: Any, stream: Any, tmp_path: Path
) -> None:
    topic = system.topics.events
    for partition in (0, 1, 2):
        system.send_raw(b"{}", key=b"k", partition=partition)
        system.flush()
    trim(system, (topic, 1, 1))  # nobody had an archive then: it begins behind that
    archive()
    parts = {
        segment.part.partition: segment.part
        for segment in ArchiveCatalogue(tmp_path / "archive", [topic]).all_segments()
    }
    assert {number: (part.start, part.end, part.records) for number, part in parts.items()} == {
        0: (0, 1, 1),
        1: (1, 1, 0),
        2: (0, 1, 1),
    }
    next_day = TOMORROW + timedelta(days=1)
    system.send_raw(b"{}", key=b"k", partition=1)
    system.flush()
    assert "1 messages" in archive(ahead=next_day)
    for _ in range(2):
        system.send_raw(b"{}", key=b"k", partition=3)  # which the archive has never had
    system.flush()
    trim(system, (topic, 3, 1))
    with pytest.raises(NotArchived, match="offsets 0 to 1 left the log"):
        archive(ahead=next_day + timedelta(days=1))
    bootstrap_archive.run_verify(system.settings, Console(file=StringIO()), tmp_path / "archive")


@pytest.mark.parametrize("size", [1, 1_000_000])  # what is held back is written when the file is closed
def test_a_disk_that_is_full_is_told_with_the_file_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    (tmp_path / "0.jsonl.zst.part").symlink_to(full)
    writer = PartWriter(tmp_path, 0)
    record = Record("t", 0, 0, datetime.now(UTC), b"k", os.urandom(size))

    def write() -> None:
        writer.write(Archived(record))
        writer.close(0, 1)

    with pytest.raises(OSError, match=r"No space left on device: .*0\.jsonl\.zst"):
        write()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_share_an_archive(*, archive: Any, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with exclusive_lock(folder), pytest.raises(ArchiveBusy, match="another process writes into"):
        archive()
    assert "up to date" in archive()


def test_a_topic_that_was_recreated_is_told_apart_and_its_jobs_come_back(
    *,
    system: Any,
    connection: Any,
    archive: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    folder, topic = tmp_path / "archive", system.topics.events
    old, new = stream.job(1), stream.job(2)
    system.send(old)
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(old), "not read")
    system.end_projectors()
    archive()
    recreate(system, topic, wait_until)
    system.send(new)
    archive(ahead=TOMORROW + timedelta(days=1))
    assert len(ArchiveCatalogue(folder, [topic]).topic_ids(topic)) == 2
    command = [sys.executable, "-m", "job_tracker", "rebuild", "--swap", "--archive"]
    refused = subprocess.run(
        [*command, str(tmp_path / "none")], env=system.environment, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "was recreated" in refused.stderr) == (2, True)
    done = subprocess.run([*command, str(folder)], env=system.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    system.projector()
    more = stream.job(3)
    system.send(more)
    wait_until(lambda: system.count(connection, "event") == len(old + new + more), "the projector does not go on")
    assert shown(connection) == oracle(old + new + more)
