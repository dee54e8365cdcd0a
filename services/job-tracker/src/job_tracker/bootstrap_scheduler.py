"""Wires the scheduler."""

import threading
import time
from datetime import timedelta

from job_events.topics import Topics
from job_tracker.bootstrap import instance_name, prepare_servers
from job_tracker.scheduler.loop import Scheduler
from job_tracker.settings import Settings
from job_tracker.store.postgres import RetryingConnection
from job_tracker.store.status import Status
from service_kit import kafka
from service_kit.clock import Clock, SystemClock
from service_kit.errors import Stopping

DELIVERY_TIMEOUT_MS = 5000


def run_scheduler(settings: Settings, stop: threading.Event, clock: Clock | None = None) -> None:
    """Run a scheduler until `stop` is set. Any number of them may run."""
    try:
        prepare_servers(settings, stop.wait)
    except Stopping:
        return
    scheduler = Scheduler(
        connection=RetryingConnection(settings.database_url, Status(time.monotonic), stop.wait),
        producer=kafka.producer(settings.kafka, "job-tracker-scheduler", DELIVERY_TIMEOUT_MS),
        topics=Topics(settings.jobtrail_topic_prefix),
        clock=clock or SystemClock(),
        instance=instance_name(),
        keep=timedelta(days=settings.jobtrail_history_days),
        stop=stop,
    )
    scheduler.run()
