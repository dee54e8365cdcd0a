"""Opening a connection for a pull: which one the account has, and what its state is afterwards."""

from collections.abc import Generator
from contextlib import contextmanager

from platforms.accounts import AccountStore
from platforms.adapter import Client
from platforms.connections import NEEDS_AUTHORISATION, OK, Connection
from platforms.errors import CredentialsUnreadable, InvalidCredentials, UnknownAccount
from worker.errors import JobFailed
from worker.job import RunningJob


def connection_of(accounts: AccountStore, job: RunningJob, platform: str) -> Connection:
    """The connection of the job's account to a platform. Raises JobFailed where there is none that can be used."""
    try:
        return accounts.connection(job.tenant, job.account, platform)
    except UnknownAccount:
        raise JobFailed(
            "VALIDATION_FAILED",
            "NO_CONNECTION",
            f"account {job.account!r} has no connection to {platform}; "
            f"add one with `jobtrail accounts add {job.account} {platform} --tenant {job.tenant}`",
        ) from None
    except CredentialsUnreadable as error:
        raise JobFailed("INVALID_CREDENTIALS", "CREDENTIALS_UNREADABLE", str(error)) from None


@contextmanager
def in_use(accounts: AccountStore, connection: Connection, client: Client) -> Generator[None]:
    """Close the client at the end, and note whether the platform accepts the connection."""
    try:
        yield
    except InvalidCredentials as error:
        accounts.mark(connection, NEEDS_AUTHORISATION, error.message)
        raise
    finally:
        client.close()
    accounts.mark(connection, OK)
