"""Wires the projectors. Only the bootstrap modules construct parts of the tracker."""

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException

from job_events.topics import Topics
from job_tracker.log.broker import Broker
from job_tracker.projector.batch import Content, Projection
from job_tracker.projector.commit import Committer, no_failpoint
from job_tracker.projector.heartbeat import Heartbeat
from job_tracker.projector.items_projection import ItemsProjection
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.projector.loop import Projector
from job_tracker.projector.source import KafkaSource
from job_tracker.retention import Sweeper
from job_tracker.settings import Settings
from job_tracker.store.horizon import stored_lateness
from job_tracker.store.positions import PositionStore
from job_tracker.store.postgres import SCHEMA, RetryingConnection, connect, pause
from job_tracker.store.status import Status
from service_kit.clock import SystemClock
from service_kit.database import migrate
from service_kit.errors import Stopping
from service_kit.kafka_admin import create_topics
from service_kit.sql_files import queries

log = structlog.get_logger()
_NOT_ALLOWED = {
    *(KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED),
    *(KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG),
}


def instance_name() -> str:
    """The name of this instance in heartbeats: machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def prepare_servers(settings: Settings, wait: Callable[[float], bool]) -> None:
    """Migrate the schema and create the topics, waiting for servers that are still starting.

    Raises:
        Stopping: the process is asked to end.
    """
    prepare_schema(settings, wait)
    topics = Topics(settings.jobtrail_topic_prefix)

    def create() -> None:
        try:
            create_topics(settings.kafka, topics, settings.jobtrail_replication, timeout=10)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_ALLOWED:
                raise
            log.error("topic not created", reason=error.args[0].str())  # the existing topics are read

    _retry_until_available("Kafka", create, wait)


def prepare_schema(settings: Settings, wait: Callable[[float], bool]) -> None:
    """Migrate the schema, waiting for a PostgreSQL that is still starting.

    Raises:
        Stopping: the process is asked to end.
    """
    _retry_until_available("PostgreSQL", lambda: migrate_schema(settings), wait)


def run_projector(
    settings: Settings,
    projection: Projection[Content],
    stop: threading.Event,
    instance: str | None = None,
    *,
    failpoint: Callable[[str], None] = no_failpoint,
) -> None:
    """Run one projection until `stop` is set; `failpoint` is called at the named points of the protocol."""
    me = instance or instance_name()
    wait = stop.wait
    try:
        prepare_servers(settings, wait)
    except Stopping:
        return
    status = Status(time.monotonic)
    broker = Broker(settings.kafka)
    connection = RetryingConnection(settings.database_url, status, wait, session=projection.session)
    committer = Committer(connection, projection, failpoint)
    # The reader's own connection: positions are read while the writer is in its transaction.
    positions = RetryingConnection(settings.database_url, status, wait)
    store = PositionStore(
        connection=positions,
        broker=broker,
        projection=projection.name,
        remedy=projection.remedy,
        status=status,
        wait=wait,
    )
    heartbeat = Heartbeat(
        database_url=settings.database_url,
        broker=broker,
        projection=projection.name,
        topics=projection.topics,
        instance=me,
        status=status,
    )
    projector = Projector(
        projection=projection,
        committer=committer,
        connection=connection,
        store=store,
        open_source=lambda flush_before_revoke: KafkaSource(
            kafka=settings.kafka,
            group=projection.name,
            topics=projection.topics,
            instance=me,
            store=store,
            status=status,
            flush_before_revoke=flush_before_revoke,
            failpoint=failpoint,
        ),
        status=status,
        stop=stop,
        batch_events=settings.jobtrail_batch_events,
        failpoint=failpoint,
    )
    with garbage_collection_disabled():
        heartbeat.start()
        try:
            projector.run()
        finally:
            heartbeat.stop()
            positions.close()


def run_jobs_projector(settings: Settings, stop: threading.Event, instance: str | None = None) -> None:
    """Run the projection `jobs` until `stop` is set, and delete what is older than the retention."""
    projection = JobsProjection(Topics(settings.jobtrail_topic_prefix))

    def load_lateness() -> None:
        with connect(settings.database_url) as connection:
            projection.use_lateness(stored_lateness(connection))

    try:
        prepare_schema(settings, stop.wait)
        _retry_until_available("PostgreSQL", load_lateness, stop.wait)
    except Stopping:
        return
    sweeper = Sweeper(settings, SystemClock(), projection.use_lateness)
    sweeper.start()
    try:
        run_projector(settings, projection, stop, instance)
    finally:
        sweeper.stop()


def run_items_projector(settings: Settings, stop: threading.Event, instance: str | None = None) -> None:
    """Run the projection `items` until `stop` is set."""
    run_projector(settings, ItemsProjection(Topics(settings.jobtrail_topic_prefix)), stop, instance)


@contextmanager
def garbage_collection_disabled() -> Generator[None]:
    """Disable automatic garbage collection: events hold no cycles, and searching for them takes a third of the time.

    The projector's loop collects when it is idle.
    """
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def migrate_schema(settings: Settings) -> None:
    """Migrate the schema.

    Raises:
        psycopg.OperationalError: PostgreSQL does not answer.
    """
    migrate(settings.database_url, SCHEMA, ["job_tracker.store"])
    # Before the first row: a day whose rows are in the default partition stays there.
    with connect(settings.database_url) as connection:
        connection.execute(queries("job_tracker.store", "commit.sql")["ensure_event_days"])


def _retry_until_available(server: str, work: Callable[[], None], wait: Callable[[float], bool]) -> None:
    attempt = 0
    while True:
        try:
            return work()
        except (psycopg.OperationalError, KafkaException, TimeoutError) as error:
            attempt += 1
            log.warning("server away", server=server, reason=str(error))
            if wait(pause(attempt)):
                raise Stopping from None
