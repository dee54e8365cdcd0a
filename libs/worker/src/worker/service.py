"""Starts a worker service: schema, topics, clients, loop. What differs between services comes as arguments."""

from collections.abc import Callable, Sequence

from psycopg_pool import ConnectionPool

from job_events.topics import Topics
from service_kit import kafka
from service_kit.bootstrap import prepare, stop_on_signals
from service_kit.clock import SystemClock
from service_kit.database import migrate, open_pool
from service_kit.errors import Stopping
from service_kit.settings import ServiceSettings
from worker.attempt import Handler
from worker.job_result import JobResult
from worker.loop import Limits, WorkerLoop
from worker.simulation import simulations


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

    `package` holds the `migrations/` of the service; `migrations` are those of the libraries that it uses;
    `handlers` makes the code of each job type once the pool is open.
    """
    stop = stop_on_signals()

    def own_schema() -> None:
        migrate(settings.database_url, service, ["worker", package])

    try:
        topics = prepare(settings, [*migrations, own_schema], stop)
    except Stopping:
        return
    group = f"{settings.jobtrail_topic_prefix}{service}"
    with open_pool(settings.database_url, service, settings.jobtrail_workers + 4) as pool:
        WorkerLoop(
            service,
            handlers(pool, topics) | simulations(service),
            pool=pool,
            open_consumer=lambda: kafka.consumer(settings.kafka, group, service),
            producer=kafka.producer(settings.kafka, service),
            topics=topics,
            clock=SystemClock(),
            known_account=known_account(pool),
            result_from_error=result_from_error,
            limits=Limits(settings.jobtrail_workers),
        ).run(stop)
