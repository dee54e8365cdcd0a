"""Starts a worker service: schema, topics, clients, signals, loop. What is special to a service comes as arguments."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

import psycopg
import structlog
from confluent_kafka import KafkaException
from psycopg_pool import ConnectionPool

from job_events.topics import Topics
from service_kit import kafka
from service_kit.clock import SystemClock
from service_kit.database import migrate, open_pool
from service_kit.kafka_admin import create_topics
from service_kit.settings import ServiceSettings
from worker.errors import WorkerStopping
from worker.job import JobResult
from worker.loop import Handler, Limits, WorkerLoop

log = structlog.get_logger(__name__)
START_PATIENCE = 300.0  # seconds for Kafka and PostgreSQL to answer, so that a system may start in any order
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two tries
_LOOK = 0.1  # seconds between two looks for a signal


def prepare(
    settings: ServiceSettings, migrations: Sequence[Callable[[], None]], stop: threading.Event | None = None
) -> Topics:
    """Wait for the servers, then bring schemas and topics to what the code needs.

    Raises:
        psycopg.OperationalError, KafkaException: a server did not answer within START_PATIENCE.
        WorkerStopping: `stop` was set meanwhile.
    """
    topics = Topics(settings.jobtrail_topic_prefix)

    def bring() -> None:
        for migration in migrations:
            migration()
        create_topics(settings.kafka, topics, settings.jobtrail_replication)

    stop = stop or threading.Event()
    deadline = time.monotonic() + START_PATIENCE
    pause = _FIRST_PAUSE
    while True:
        try:
            _unless(stop, bring)
            return topics
        except (psycopg.OperationalError, KafkaException, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for Kafka and PostgreSQL", reason=str(error).strip())
        if stop.wait(pause):
            raise WorkerStopping("told to end while waiting for the servers")
        pause = min(2 * pause, _LONGEST_PAUSE)


def _unless(stop: threading.Event, work: Callable[[], None]) -> None:
    """Do the work in a thread that is left behind when `stop` is set: a client may wait long for a silent server.

    Raises:
        WorkerStopping
        Exception: what the work raised.
    """
    raised: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="prepares", daemon=True).start()
    while not done.wait(_LOOK):
        if stop.is_set():
            raise WorkerStopping("told to end while waiting for the servers")
    if raised:
        raise raised[0]


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def run_worker(
    service: str,
    package: str,
    settings: ServiceSettings,
    *,
    migrations: Sequence[Callable[[], None]],
    handlers: Callable[[ConnectionPool, Topics], dict[str, Handler]],
    known_account: Callable[[ConnectionPool], Callable[[str, str], bool]],
    result_from_error: Callable[[Exception], JobResult | None],
) -> None:
    """Run a worker service until SIGTERM or SIGINT, which also end it while it waits for its servers.

    `package` holds the service's own `migrations/`; `migrations` are those of the libraries it uses;
    `handlers` makes the code of each job type once the pool is open.
    """
    stop = stop_on_signals()

    def own_schema() -> None:
        migrate(settings.database_url, service, ["worker", package])

    try:
        topics = prepare(settings, [*migrations, own_schema], stop)
    except WorkerStopping:
        return
    group = f"{settings.jobtrail_topic_prefix}{service}"
    with open_pool(settings.database_url, service, settings.jobtrail_workers + 4) as pool:
        WorkerLoop(
            service,
            handlers(pool, topics),
            pool=pool,
            open_consumer=lambda: kafka.consumer(settings.kafka, group, service),
            producer=kafka.producer(settings.kafka, service),
            topics=topics,
            clock=SystemClock(),
            known_account=known_account(pool),
            result_from_error=result_from_error,
            limits=Limits(settings.jobtrail_workers, settings.jobtrail_jobs_per_account),
        ).run(stop)
