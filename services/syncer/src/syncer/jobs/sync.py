"""A sync from its request to its end: plan once, stop if it is too much, then write batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace
from psycopg.errors import UndefinedTable

from job_events.database import refresh_statistics
from job_events.errors import JobFailed
from job_events.job_types import SyncParams
from job_events.worker.job import RunningJob, params_of
from platforms.accounts import AccountStore
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import CredentialsUnreadable, InvalidCredentials, UnknownAccount
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.jobs.batches import BatchRunner
from syncer.jobs.calls import CallCounter
from syncer.jobs.planning import list_batch, make_plan
from syncer.jobs.side import Side
from syncer.store import exchanges, plans
from syncer.store.exchanges import KEEP, ExchangeLog
from syncer.store.rows import Scope

log = structlog.get_logger(__name__)
_PRUNE_ROWS: Final = 5000
_PRUNE_ROUNDS: Final = 20


class Position(Struct, frozen=True):
    """The job's cursor once it is planned. list: the run was stopped for `reason` and only tells its changes."""

    phase: Literal["write", "list"]
    next: int
    batches: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """The handler of one job type."""

    accounts: AccountStore
    buckets: Buckets
    side: Callable[[], Side]

    def __call__(self, job: RunningJob) -> None:
        """Run one attempt; the loop judges it by its counters. Raises JobFailed, PlatformError, Interrupted."""
        _prune(job)
        settings, connection = self._whose(job)
        exchange_log = ExchangeLog(job.around.pool, job.id)
        client = ShopifyClient(connection, wait=job.wait, buckets=self.buckets, on_exchange=exchange_log)
        params = params_of(job, SyncParams)
        side = self.side()
        scope = Scope(job.tenant, job.account, side.kind, params.only or None)
        runner = BatchRunner(job, side, scope, settings, client, exchange_log, CallCounter(client))
        try:
            _run(runner, params)
        except InvalidCredentials as error:
            self.accounts.mark(connection, "needs re-authorisation", error.message)
            raise
        finally:
            client.close()

    def _whose(self, job: RunningJob) -> tuple[AccountSettings, Connection]:
        try:
            return (
                self.accounts.settings(job.tenant, job.account),
                self.accounts.connection(job.tenant, job.account, "shopify"),
            )
        except UnknownAccount as error:
            advice = f"{error}; add it with `jobtrail accounts add`"
            raise JobFailed("VALIDATION_FAILED", "NO_CONNECTION", advice) from error
        except CredentialsUnreadable as error:
            advice = f"{error}; set JOBTRAIL_SECRET_KEY to the key they were stored with, or add the account anew"
            raise JobFailed("INVALID_CREDENTIALS", "UNREADABLE", advice) from error


def _run(runner: BatchRunner, params: SyncParams) -> None:
    job = runner.job
    runner.side.prepare(runner.client, runner.settings)
    if job.cursor is None:
        _plan(runner, params)
    position = msgspec.convert(job.cursor, Position)
    while position.next < position.batches:
        number, position = position.next, replace(position, next=position.next + 1)
        cursor = msgspec.to_builtins(position)
        if position.phase == "list":
            with job.page() as page:
                list_batch(page, job.id, number)
                page.cursor = cursor
            continue
        job.check()
        job.progress(f"{'comparing' if params.dry_run else 'writing'} batch {number + 1} of {position.batches}")
        runner.record(runner.run(number, dry_run=params.dry_run), cursor)
    with job.around.pool.connection() as conn:
        refresh_statistics(conn, "written")
    if position.phase == "list":
        advice = "Nothing was written; the job's items list every change. Ask again with confirm to let it through."
        raise JobFailed("CHANGE_TOO_LARGE", "CHANGE_TOO_LARGE", f"{position.reason}. {advice}")


def _plan(runner: BatchRunner, params: SyncParams) -> None:
    job = runner.job
    job.progress("planning")
    try:
        with job.page() as page:
            batches, reason = make_plan(page, job, runner.side, runner.scope, runner.settings)
            page.tally.metadata["dryRun"] = params.dry_run
            if reason is not None:
                page.tally.metadata["tooLarge"] = reason
            stopped = reason is not None and not params.confirm and not params.dry_run
            position = Position("list" if stopped else "write", 0, batches, reason)
            page.cursor = msgspec.to_builtins(position)
            runner.calls.count(page.tally)
    except UndefinedTable as error:
        log.warning("a view of another service is missing", job=job.id, reason=str(error).splitlines()[0])
        advice = "nothing was pulled and matched yet: run the pull and match jobs of this account first"
        raise JobFailed("VALIDATION_FAILED", "NOTHING_TO_SYNC", advice) from error


def _prune(job: RunningJob) -> None:
    """Bounded work a job: what is left goes with the next one."""
    for prune in (exchanges.prune, plans.prune):
        for _ in range(_PRUNE_ROUNDS):
            job.check()
            with job.around.pool.connection() as conn:
                if prune(conn, KEEP, _PRUNE_ROWS) == 0:
                    break
