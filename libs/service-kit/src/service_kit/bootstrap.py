"""How every service starts: log, settings, stop signals, then schemas and topics once the servers answer."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

import psycopg
import structlog
from confluent_kafka import KafkaException

from job_events.topics import Topics
from service_kit.clock import backoff
from service_kit.errors import Stopping
from service_kit.kafka_admin import create_topics
from service_kit.settings import ServiceSettings, Settings, read_settings

log = structlog.get_logger(__name__)
START_TIMEOUT = 300.0  # seconds for Kafka and PostgreSQL to answer, so that a system may start in any order
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two tries
_SIGNAL_CHECK = 0.1  # seconds between two looks at the stop event


def start(kind: type[Settings], service: str, process: str | None = None) -> Settings:
    """Set up the log and read the settings; exits with one sentence where the configuration is invalid.

    process: the name of the process in its log, if it is not that of the service.
    """
    configure_logging(process or service)
    return read_settings(kind, service)


def configure_logging(service: str) -> None:
    """Log one JSON object a line on standard error; every line names the service."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def prepare(
    settings: ServiceSettings, migrations: Sequence[Callable[[], None]], stop: threading.Event | None = None
) -> Topics:
    """Wait for the servers, then migrate the schemas and create the topics.

    Raises:
        psycopg.OperationalError, KafkaException: a server did not answer within START_TIMEOUT.
        Stopping: `stop` was set meanwhile.
    """
    topics = Topics(settings.jobtrail_topic_prefix)

    def migrate_and_create() -> None:
        for migration in migrations:
            migration()
        create_topics(settings.kafka, topics, settings.jobtrail_replication)

    stop = stop or threading.Event()
    deadline = time.monotonic() + START_TIMEOUT
    attempt = 0
    while True:
        attempt += 1
        try:
            _run_unless(stop, migrate_and_create)
            return topics
        except (psycopg.OperationalError, KafkaException, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for Kafka and PostgreSQL", reason=str(error).strip())
        if stop.wait(backoff(attempt, _FIRST_PAUSE, _LONGEST_PAUSE)):
            raise Stopping("stopped while waiting for Kafka and PostgreSQL")


def _run_unless(stop: threading.Event, work: Callable[[], None]) -> None:
    """Do the work in a thread, which is abandoned when `stop` is set: a client may wait long for a silent server.

    Raises:
        Stopping
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

    threading.Thread(target=run, name="prepare", daemon=True).start()
    while not done.wait(_SIGNAL_CHECK):
        if stop.is_set():
            raise Stopping("stopped while waiting for Kafka and PostgreSQL")
    if raised:
        raise raised[0]
