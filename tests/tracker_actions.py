"""Actions on a running tracker in tests of rebuild and archive: run a command, add invalid records, trim the log."""

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

from job_tracker import bootstrap_archive
from service_kit.kafka_admin import create_topics

JOBS = "SELECT md5(string_agg(j::text, ',' ORDER BY job_id)), count(*) FROM tracker.job j"
SHADOWS = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^tracker_'"
# The lock that a process takes before it creates a day table of the history, and whether a process waits for a lock.
_LOCK_EVENT_DAYS = "SELECT pg_advisory_xact_lock(hashtext('tracker_rebuild.event'))"
_LOCK_WAITED_FOR = """
    SELECT count(*) > 0 FROM pg_locks JOIN pg_database AS d ON d.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""
TOMORROW = timedelta(days=1, hours=2)  # beyond the end of today, whatever the time is
_BAD = [b"\xff\xfe", b"{}", None, b'{"type":"job.unknown.v9"}', b"[1]", b""]


class At:
    """A clock that runs ahead, so that today is a finished day."""

    def __init__(self, ahead: timedelta = TOMORROW) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return 0.0


def archive_days(system: Any, folder: Path, ahead: timedelta = TOMORROW) -> str:
    """Archive all days that are finished `ahead` from now; returns the printed text."""
    out = StringIO()
    bootstrap_archive.run_archive(system.settings, At(ahead), Console(file=out, width=200), folder)
    return out.getvalue()


def run(system: Any, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the tracker to its end; `folder` holds the archive."""
    return subprocess.run(
        [sys.executable, "-m", "job_tracker", *arguments, "--archive", str(folder)],
        env=system.environment | {"COLUMNS": "200", "JOBTRAIL_BATCH_EVENTS": "5000"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def blocked_rebuilds(system: Any) -> Iterator[Callable[[], bool]]:
    """Block every rebuild before it writes history; yields a function that says whether one is blocked."""
    with psycopg.connect(system.database_url) as connection, psycopg.connect(system.database_url) as looking:
        connection.execute(_LOCK_EVENT_DAYS)

        def is_blocked() -> bool:
            with looking.transaction():
                return looking.execute(_LOCK_WAITED_FOR).fetchone() == (True,)

        yield is_blocked


@contextmanager
def meanwhile(stop: threading.Event, *works: Callable[[], None], seconds: float) -> Iterator[None]:
    """Run functions in threads until the block ends, which sets `stop`; each must end within `seconds` and not fail."""
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


def send_invalid_records(system: Any) -> int:
    """Send records that no projection accepts; returns their number."""
    for number, value in enumerate(_BAD):
        system.send_raw(value, key=f"bad-{number}".encode())
    system.flush()
    return len(_BAD)


def trim(system: Any, *ends: tuple[str, int, int]) -> None:
    """Delete records from the log. ends: topic, partition, first offset that stays."""
    admin = AdminClient({"bootstrap.servers": system.kafka})
    for future in admin.delete_records([TopicPartition(*end) for end in ends]).values():
        future.result(120)


def recreate(system: Any, topic: str, wait_until: Callable[..., None], partitions: int | None = None) -> None:
    """Delete a topic and create an empty one of the same name. partitions: None means as many as the contract says."""
    admin = AdminClient({"bootstrap.servers": system.kafka})
    for future in admin.delete_topics([topic]).values():
        future.result(120)
    wait_until(lambda: topic not in admin.list_topics(timeout=120).topics, "not deleted")
    if partitions is not None:
        config = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics([NewTopic(topic, partitions, config=config)])[topic].result(120)
    create_topics(system.kafka, system.topics)
