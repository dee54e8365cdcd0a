"""What tests of rebuilds, swaps and archives do to a system: run its parts, poison and trim its log."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console

from job_tracker import bootstrap_rebuild
from service_kit.kafka_admin import create_topics

JOBS = "SELECT md5(string_agg(j::text, ',' ORDER BY job_id)), count(*) FROM tracker.job j"
SHADOWS = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^tracker_'"
# What a process locks that makes a table for a day of the history, and whether one waits for that.
_DAYS_ARE_MADE = "SELECT pg_advisory_xact_lock(hashtext('tracker_rebuild.event'))"
_STANDING = """
    SELECT count(*) > 0 FROM pg_locks JOIN pg_database AS d ON d.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""
TOMORROW = timedelta(days=1, hours=2)  # beyond the end of today, whatever the time is
_BAD = [b"\xff\xfe", b"{}", None, b'{"type":"job.unknown.v9"}', b"[1]", b""]


class At:
    """A clock that stands some time ahead, so that today is a finished day."""

    def __init__(self, ahead: timedelta = TOMORROW) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return 0.0


def archive_days(system: Any, folder: Path, ahead: timedelta = TOMORROW) -> str:
    """Archive all days that are finished `ahead` from now; what was printed."""
    out = StringIO()
    bootstrap_rebuild.run_archive(system.settings, At(ahead), Console(file=out, width=200), folder)
    return out.getvalue()


def run(system: Any, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One of the parts that end, as people start it; `folder` is the archive's."""
    return subprocess.run(
        [sys.executable, "-m", "job_tracker", *arguments, "--archive", str(folder)],
        env=system.environment | {"COLUMNS": "200", "JOBTRAIL_BATCH_EVENTS": "5000"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def standing_still(system: Any) -> Iterator[Callable[[], bool]]:
    """Inside, every process of a rebuild stands before it writes history; the answer says whether one does yet."""
    with psycopg.connect(system.database_url) as connection, psycopg.connect(system.database_url) as looking:
        connection.execute(_DAYS_ARE_MADE)

        def stands() -> bool:
            with looking.transaction():
                return looking.execute(_STANDING).fetchone() == (True,)

        yield stands


@contextmanager
def meanwhile(stop: threading.Event, *works: Callable[[], None], seconds: float) -> Iterator[None]:
    """Threads that work until `stop`, which is set when this is left; they have `seconds` then. None may fail."""
    threads = [threading.Thread(target=work) for work in works]
    failures: list[Any] = []
    threading.excepthook = lambda arguments: failures.append(arguments.exc_value)
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(seconds)
        threading.excepthook = threading.__excepthook__
    assert failures == []


def poison(system: Any) -> int:
    """Send records that no projection can take; how many."""
    for number, value in enumerate(_BAD):
        system.send_raw(value, key=f"bad-{number}".encode())
    system.flush()
    return len(_BAD)


def trim(system: Any, *ends: tuple[str, int, int]) -> None:
    """Drop what lies below these offsets from the log: topic, partition, first offset that stays."""
    admin = AdminClient({"bootstrap.servers": system.kafka})
    for future in admin.delete_records([TopicPartition(*end) for end in ends]).values():
        future.result(120)


def recreate(system: Any, topic: str, wait_until: Callable[..., None], partitions: int | None = None) -> None:
    """Drop a topic and make an empty one of the same name, with as many partitions as the contract says, or others."""
    admin = AdminClient({"bootstrap.servers": system.kafka})
    for future in admin.delete_topics([topic]).values():
        future.result(120)
    wait_until(lambda: topic not in admin.list_topics(timeout=120).topics, "not deleted")
    if partitions is not None:
        config = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics([NewTopic(topic, partitions, config=config)])[topic].result(120)
    create_topics(system.kafka, system.topics)
