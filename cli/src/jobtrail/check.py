"""`jobtrail check`: whether every part is up, and the lag of each consumer group."""

from collections.abc import Callable, Iterator

import httpx
import msgspec
import psycopg
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table
from rich.text import Text

from job_events.texts import printable, with_texts
from jobtrail import answers
from jobtrail.home import Home
from jobtrail.queues import hold_text
from jobtrail.tracker import Tracker, shown, staleness
from service_kit.database import instances_at_work
from service_kit.kafka_admin import group_members
from service_kit.kafka_diagnosis import quiet_config, reach
from service_kit.kafka_security import KafkaConnection
from service_kit.processes import CONSUMER_GROUPS, PROCESSES

TIMEOUT = 5.0


def check_system(console: Console, home: Home) -> int:
    """Print a line for each part, the lag of every group, and what needs attention; returns 1 if a part is down."""
    api, kafka, database = home.api(), home.kafka(), home.database()
    parts: dict[str, Callable[[], str]] = {
        "PostgreSQL": lambda: _postgres(database),
        "Kafka": lambda: _kafka(kafka),
        "API": lambda: _api(api),
    }
    for process in PROCESSES:
        if process.view is not None:
            parts[process.name] = lambda view=process.view: _instances(database, view)
    down = False
    for name, check in parts.items():
        try:
            console.print("[green]✔[/]", Text(f"{name}: {check()}"))
        except (httpx.HTTPError, psycopg.Error, KafkaException, ValueError) as error:
            down = True
            console.print("[red]✘[/]", Text(f"{name}: {str(error).strip() or type(error).__name__}"))
    if not down:
        try:
            down = _lags(console, kafka)
        except KafkaException as error:
            down = True
            console.print("[red]✘[/]", Text(f"Kafka: the lag of the groups is unknown: {error}"))
        for sentence in _attention(Tracker(api)):
            console.print("[yellow]![/]", Text(sentence), soft_wrap=True)
    return 1 if down else 0


def _postgres(url: str) -> str:
    with psycopg.connect(url, connect_timeout=int(TIMEOUT)) as connection:
        row = connection.execute("show server_version").fetchone()
        return f"version {row[0] if row else '?'}"


def _kafka(kafka: KafkaConnection) -> str:
    with reach(kafka, TIMEOUT) as admin:
        metadata = admin.list_topics(timeout=TIMEOUT)
    return f"{len(metadata.brokers)} broker(s), {len(metadata.topics)} topics"


def _instances(database: str, view: str) -> str:
    try:
        count = instances_at_work(database, view)
    except psycopg.errors.UndefinedTable:
        count = 0
    if count == 0:
        raise ValueError("no instance is at work")
    return f"{count} at work"


def _api(address: str) -> str:
    answer = httpx.get(f"{address}/readyz", timeout=TIMEOUT)
    try:
        found = msgspec.convert(with_texts(answer.json(), printable), answers.Readiness)
    except (ValueError, RecursionError):  # a msgspec.ValidationError is a ValueError
        raise ValueError(
            f"{shown(address)} is not a tracker: it answers {answer.status_code} without a readiness report"
        ) from None
    if not found.ready:
        missing = [f"{check.name}: {check.detail or 'no reason given'}" for check in found.checks if not check.ok]
        raise ValueError(f"at {shown(address)} is not ready: {'; '.join(missing) or 'no reason given'}")
    return ". ".join([f"ready at {shown(address)}", *found.notes])


def _attention(tracker: Tracker) -> Iterator[str]:
    """What needs the attention of a person; it does not change the exit code."""
    page = tracker.read("/dead-letters", answers.DeadLettersPage, limit=1)
    for newest in page.dead_letters:
        where = f"see {tracker.address}/dead-letters"
        yield f"Dead letters: {page.total_text}, the newest by {newest.consumer}: {newest.reason}; {where}"
    for queue in tracker.read("/queues", answers.Queues).queues:
        for hold in queue.holds:
            yield f"{queue.service}: paused: {hold_text(hold)}"
        if (newer := queue.waiting_for_upgrade) is not None and newer.total:
            reasons = "; ".join(f"{one.count:,} × {one.reason}" for one in newer.reasons)
            yield f"{queue.service}: {newer.total:,} jobs or chain steps wait for a newer version: {reasons}"
    if stale := staleness(tracker.freshness):
        yield f"The job table: {stale}"


def _lags(console: Console, kafka: KafkaConnection) -> bool:
    """Print the lag by group; returns whether a service is down, because its group has no members."""
    admin = AdminClient(quiet_config(kafka))
    listed = admin.list_consumer_groups(request_timeout=TIMEOUT).result()
    table = Table(header_style="bold")
    for name in ("Consumer group", "Members", "Lag"):
        table.add_column(name, justify="left" if name == "Consumer group" else "right")
    missing = False
    reader = Consumer(quiet_config(kafka) | {"group.id": "jobtrail-check"})
    try:
        for group in sorted({*CONSUMER_GROUPS, *(found.group_id for found in listed.valid)}):
            count = group_members(admin, group, TIMEOUT)
            down = count == 0 and group in CONSUMER_GROUPS
            missing = missing or down
            name = Text(f"✘ {group}: its service is down", style="red") if down else Text(group)
            table.add_row(name, str(count), f"{_lag(admin, reader, group):,}")
    finally:
        reader.close()
    console.print(table)
    return missing


def _lag(admin: AdminClient, reader: Consumer, group: str) -> int:
    asked = [ConsumerGroupTopicPartitions(group)]
    offsets = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT)[group].result()
    partitions: list[TopicPartition] = offsets.topic_partitions or []
    lag = 0
    for partition in partitions:
        _, high = reader.get_watermark_offsets(TopicPartition(partition.topic, partition.partition), TIMEOUT)
        lag += max(0, high - max(partition.offset, 0))
    return lag
