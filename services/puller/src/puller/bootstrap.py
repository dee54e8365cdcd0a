"""The puller's wiring: settings, stores, handlers."""

import time

from psycopg_pool import ConnectionPool

from job_events.topics import Topics
from platforms.accounts import AccountStore
from platforms.buckets import RateBuckets
from platforms.cipher import Cipher
from platforms.errors import CredentialsUnreadable, PlatformError
from platforms.migrate import migrate
from puller.incremental import IncrementalPull
from puller.orders import PullOrders
from puller.pulls import Pull
from puller.sources import sources
from service_kit.bootstrap import start
from service_kit.settings import ServiceSettings
from worker.attempt import Handler
from worker.job_result import JobResult, result_from_category
from worker.service import run_worker


def result_from_platform_error(error: Exception) -> JobResult | None:
    """How a platform's error ends a job; any other error is a bug of ours."""
    return result_from_category(error.category, error.code, error.message) if isinstance(error, PlatformError) else None


def run() -> None:
    """Run the puller until SIGTERM or SIGINT. Exits with one sentence where the environment is incomplete."""
    settings = start(ServiceSettings, "puller")
    try:
        cipher = Cipher(settings.jobtrail_secret_key)
    except CredentialsUnreadable as error:
        raise SystemExit(f"puller: JOBTRAIL_SECRET_KEY: {error}") from None

    def handlers(pool: ConnectionPool, _topics: Topics) -> dict[str, Handler]:
        accounts, buckets = AccountStore(pool, cipher), RateBuckets(pool, time.time)
        return {
            **{job_type: Pull(source, accounts, buckets) for job_type, source in sources().items()},
            "INCREMENTAL_PULL": IncrementalPull(accounts, buckets),
            "PULL_NHANH_ORDERS": PullOrders("nhanh", accounts, buckets),
        }

    run_worker(
        "puller",
        "puller",
        settings,
        migrations=[lambda: migrate(settings.database_url)],
        handlers=handlers,
        known_account=lambda pool: AccountStore(pool, cipher).exists,
        result_from_error=result_from_platform_error,
    )
