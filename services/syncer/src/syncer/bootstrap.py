"""The syncer's wiring: settings, stores, handlers."""

import time

from psycopg_pool import ConnectionPool
from pydantic import ValidationError

from job_events.events import ErrorInfo
from job_events.logs import configure_logging
from job_events.settings import ServiceSettings
from job_events.topics import Topics
from job_events.worker.job import Ending
from job_events.worker.loop import Handler
from job_events.worker.service import run_worker
from platforms.accounts import AccountStore
from platforms.buckets import RateBuckets
from platforms.cipher import Cipher
from platforms.errors import CredentialsUnreadable, PlatformError
from platforms.migrate import migrate
from syncer.jobs.customers import CustomerSide
from syncer.jobs.products import ProductSide
from syncer.jobs.sync import Sync

_PASSING = frozenset({"NETWORK_ERROR", "TIMEOUT", "RATE_LIMITED"})


def explain(error: Exception) -> Ending | None:
    """How a platform's error ends a job: what may pass by itself is the system's error, the rest the job's."""
    if not isinstance(error, PlatformError):
        return None
    outcome = "error" if error.category in _PASSING else "failure"
    return Ending(outcome, ErrorInfo(error.category, error.code[:512], error.message[:4096]))


def run() -> None:
    """Run the syncer until SIGTERM or SIGINT. Exits with one sentence where the environment is incomplete."""
    configure_logging("syncer")
    try:
        settings = ServiceSettings()  # pyright: ignore[reportCallIssue]  # its fields come from the environment
        cipher = Cipher(settings.jobtrail_secret_key)
    except ValidationError as error:
        missing = ", ".join(str(part["loc"][0]).upper() for part in error.errors())
        raise SystemExit(f"syncer: set {missing} in the environment") from None
    except CredentialsUnreadable as error:
        raise SystemExit(f"syncer: JOBTRAIL_SECRET_KEY: {error}") from None

    def handlers(pool: ConnectionPool, _topics: Topics) -> dict[str, Handler]:
        accounts, buckets = AccountStore(pool, cipher), RateBuckets(pool, time.time)
        return {
            "PRODUCT_SYNC": Sync(accounts, buckets, ProductSide),
            "CUSTOMER_SYNC": Sync(accounts, buckets, CustomerSide),
        }

    run_worker(
        "syncer",
        "syncer",
        settings,
        migrations=[lambda: migrate(settings.database_url)],
        handlers=handlers,
        known_account=lambda pool: AccountStore(pool, cipher).exists,
        explain=explain,
    )
