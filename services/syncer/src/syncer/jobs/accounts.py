"""What a job uses of its account: settings, connections, the channel's writer; and what ends a job that lacks them."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import structlog
from psycopg.errors import UndefinedTable

from platforms import registry
from platforms.accounts import AccountStore
from platforms.adapter import OpenWriter
from platforms.connections import NEEDS_AUTHORISATION, Connection
from platforms.errors import CredentialsUnreadable, InvalidCredentials, UnknownAccount, UnknownChannel
from platforms.settings import AccountSettings
from syncer.store.rows import Scope
from worker.errors import JobFailed
from worker.job import RunningJob

log = structlog.get_logger(__name__)


def writer_of(scope: Scope) -> OpenWriter:
    """What opens the channel. Raises JobFailed where there is no such channel, or it takes no such records."""
    try:
        open_writer = registry.channel(scope.platform).writers.get(scope.kind)
    except UnknownChannel as error:
        raise JobFailed("VALIDATION_FAILED", "UNKNOWN_CHANNEL", str(error)) from None
    if open_writer is None:
        reason = f"{scope.kind}s cannot be written to {scope.platform}"
        raise JobFailed("VALIDATION_FAILED", "NOT_WRITABLE", reason)
    return open_writer


def read_account(
    accounts: AccountStore, job: RunningJob, platforms: Sequence[str]
) -> tuple[AccountSettings, list[Connection]]:
    """The settings of the job's account and its connections to these platforms. Raises JobFailed."""
    try:
        settings = accounts.settings(job.tenant, job.account)
        return settings, [accounts.connection(job.tenant, job.account, platform) for platform in platforms]
    except UnknownAccount as error:
        advice = f"{error}; add it with `jobtrail accounts add`"
        raise JobFailed("VALIDATION_FAILED", "NO_CONNECTION", advice) from error
    except CredentialsUnreadable as error:
        advice = f"{error}; set JOBTRAIL_SECRET_KEY to the key they were stored with, or add the account anew"
        raise JobFailed("INVALID_CREDENTIALS", "UNREADABLE", advice) from error


@contextmanager
def marked_if_refused(accounts: AccountStore, connection: Connection) -> Generator[None, None, None]:
    """A connection whose credentials the platform refuses is marked, and the error goes on."""
    try:
        yield
    except InvalidCredentials as error:
        accounts.mark(connection, NEEDS_AUTHORISATION, error.message)
        raise


@contextmanager
def needs_views(job: RunningJob) -> Generator[None, None, None]:
    """Ends the job where the views of the puller or the matcher do not exist yet. Raises JobFailed."""
    try:
        yield
    except UndefinedTable as error:
        log.warning("view missing", job=job.id, reason=str(error).splitlines()[0])
        advice = "nothing was pulled and matched yet: run the pull and match jobs of this account first"
        raise JobFailed("VALIDATION_FAILED", "NOTHING_TO_SYNC", advice) from error
