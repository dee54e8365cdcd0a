"""The syncer's wiring: settings, stores, handlers."""

import time

from psycopg_pool import ConnectionPool

from job_events.topics import Topics
from platforms.accounts import AccountStore
from platforms.buckets import RateBuckets
from platforms.cipher import Cipher
from platforms.errors import CredentialsUnreadable, PlatformError
from platforms.migrate import migrate
from service_kit.bootstrap import start
from service_kit.settings import ServiceSettings
from syncer.jobs.customers import CustomerTarget
from syncer.jobs.products import ProductTarget
from syncer.jobs.reconcile import Reconcile
from syncer.jobs.requests import JOB_TYPES
from syncer.jobs.sync import Sync
from worker.attempt import Handler
from worker.job_result import JobResult, result_from_category
from worker.service import run_worker


def result_from_platform_error(error: Exception) -> JobResult | None:
    """How a platform's error ends a job; any other error is a bug of ours."""
    return result_from_category(error.category, error.code, error.message) if isinstance(error, PlatformError) else None


def run() -> None:
    """Run the syncer until SIGTERM or SIGINT. Exits with one sentence where the environment is incomplete."""
    settings = start(ServiceSettings, "syncer")
    try:
        cipher = Cipher(settings.jobtrail_secret_key)
    except CredentialsUnreadable as error:
        raise SystemExit(f"syncer: JOBTRAIL_SECRET_KEY: {error}") from None

    def handlers(pool: ConnectionPool, _topics: Topics) -> dict[str, Handler]:
        sync = Sync(
            AccountStore(pool, cipher),
            RateBuckets(pool, time.time),
            {"product": ProductTarget, "customer": CustomerTarget},
        )
        return {
            **dict.fromkeys(JOB_TYPES, sync),
            "RECONCILE_PRODUCTS": Reconcile(sync.accounts, sync.buckets),
        }

    run_worker(
        "syncer",
        "syncer",
        settings,
        migrations=[lambda: migrate(settings.database_url)],
        handlers=handlers,
        known_account=lambda pool: AccountStore(pool, cipher).exists,
        result_from_error=result_from_platform_error,
    )
