"""A sync from its request to its end: plan once, stop if it changes too much, then write batch by batch."""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from job_events.events import ErrorInfo
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts
from platforms.buckets import Buckets
from service_kit.database import refresh_statistics
from syncer.domain.guard import Approved
from syncer.jobs.accounts import marked_if_refused, needs_views, read_account, writer_of
from syncer.jobs.batches import BatchResult, BatchRunner
from syncer.jobs.planning import PlanCursor, PlanRequest, make_plan, read_cursor, with_totals
from syncer.jobs.requests import SyncRequest, Targets, read_request
from syncer.store import changes, exchanges, plans, tokens
from syncer.store.exchanges import KEEP, ExchangeLog
from syncer.store.rows import Scope
from worker.errors import JobFailed
from worker.job import RunningJob
from worker.job_result import JobResult

_PRUNE_ROWS: Final = 5000
_PRUNE_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Sync:
    """The handler of the sync job types."""

    accounts: AccountStore
    buckets: Buckets
    targets: Targets

    def __call__(self, job: RunningJob) -> JobResult | None:
        """Run one attempt; its result, None = by the counters. Raises JobFailed, PlatformError, Interrupted."""
        _prune(job)
        request = read_request(job, self.targets)
        position = None if job.cursor is None else read_cursor(job.cursor, dry_run=request.dry_run)
        begun = 0
        if position is not None and position.kind in request.kinds:
            begun = request.kinds.index(position.kind)
        for number in range(begun, len(request.parts)):
            position = self._run_part(job, request, number, position)
            if position is not None and position.stop is not None and not request.dry_run:
                break
        return None if position is None else _result(job, position, dry_run=request.dry_run)

    def _run_part(
        self, job: RunningJob, request: SyncRequest, number: int, position: PlanCursor | None
    ) -> PlanCursor | None:
        """Run one part of the job from `position`, which may be the end of an earlier part; where it has ended."""
        target, scope = request.parts[number].target, request.parts[number].scope
        planned = position is not None and position.kind in {None, scope.kind}
        later = 0
        if not planned and scope.mixed:
            with job.context.pool.connection() as conn:
                count, *others = [part.target.count(conn, part.scope) for part in request.parts[number:]]
            later = sum(others)
            if count == 0:
                return position
        open_writer = writer_of(scope)
        settings, (connection,) = read_account(self.accounts, job, [scope.platform])
        exchange_log = ExchangeLog(job.context.pool, job.id)
        writer = open_writer(connection, job.wait, self.buckets, exchange_log)
        try:
            approved = _approved(job, scope, request)
            calls = CallCounts(writer)
            runner = BatchRunner(job, target, scope, settings, writer, exchange_log, calls, approved, request.dry_run)
            with marked_if_refused(self.accounts, connection):
                with needs_views(job):
                    target.prepare(writer, settings, job.context.pool, scope)
                    if not planned:
                        _plan(runner, position, later)
                return _run_batches(runner)
        finally:
            writer.close()


def _approved(job: RunningJob, scope: Scope, request: SyncRequest) -> Approved:
    """The changes that the job's plan token stands for."""
    if request.confirm is None:
        return {}
    with job.context.pool.connection() as conn:
        found = tokens.approved(conn, scope, request.kinds, request.confirm)
    if found is None:
        reason = (
            f"no run of {scope.kind}s of account {job.account} has handed out the plan token {request.confirm[:100]!r} "
            f"within {KEEP.days} days; run without it to see what would change"
        )
        raise JobFailed("VALIDATION_FAILED", "UNKNOWN_PLAN", reason)
    return found


def _run_batches(runner: BatchRunner) -> PlanCursor:
    """Run the batches from the job's cursor to the end of its plan; where it has ended."""
    job = runner.job
    position = read_cursor(job.cursor, dry_run=runner.dry_run)
    with job.context.pool.connection() as conn:
        position = with_totals(conn, runner.scope, position, job.cursor)
    if position.next < position.batches:
        runner.target.check_writable()
    while position.next < position.batches:
        job.check()
        verb = "comparing" if position.phase == "list" else "writing"
        job.progress(f"{verb} batch {position.next + 1} of {position.batches}")
        result = runner.compare(position) if position.phase == "list" else runner.write(position)
        following = _following(position, result)
        if position.phase == "write" and result.stop is not None:
            with job.checkpoint() as checkpoint:
                checkpoint.cursor = msgspec.to_builtins(following)
        else:
            runner.record(result, msgspec.to_builtins(following))
        if result.broken_off is not None:
            raise result.broken_off
        position = following
    with job.context.pool.connection() as conn:
        refresh_statistics(conn, "written", "written_change", "synced_item", "failed_item")
    return position


def _following(position: PlanCursor, result: BatchResult) -> PlanCursor:
    """Where the job goes on after a batch."""
    if position.phase == "write":
        if result.stop is not None:
            return replace(position, phase="list", stop=result.stop)
        return replace(position, next=position.next + 1)
    changed, sold_out = result.listed
    return replace(
        position,
        next=position.next + 1,
        stop=result.stop,
        changed=position.changed + changed,
        sold_out=position.sold_out + sold_out,
    )


def _result(job: RunningJob, position: PlanCursor, *, dry_run: bool) -> JobResult | None:
    """The result of a run whose batches are done, None = by its counters. Raises JobFailed for one that was stopped."""
    metadata = job.counters.metadata
    confirm = f"`jobtrail jobs confirm {job.id}` lets exactly these changes through"
    if position.stop is not None and not dry_run:
        written = metadata["updated"]
        wrote = f"{written} items were written before" if written else "Nothing was written"
        advice = f"{wrote}; the job's items list every change that was stopped. {confirm}."
        raise JobFailed("CHANGE_TOO_LARGE", "CHANGE_TOO_LARGE", f"{position.stop}. {advice}")
    if (stop := position.stop or position.stopped) is not None:
        return _partial("WOULD_STOP", f"A run that writes would stop: {stop}. {confirm}.")
    if metadata.get("held"):
        held = "would be held" if dry_run else "are held"
        return _partial("ITEMS_HELD", f"{metadata['held']} items {held} back; the job's items say why. {confirm}.")
    if metadata.get("partlyFailed"):
        reason = f"{metadata['partlyFailed']} items were written in part; the job's items say what was not"
        return JobResult("partial", ErrorInfo("PLATFORM_ERROR", "PARTLY_WRITTEN", reason))
    return None


def _partial(code: str, reason: str) -> JobResult:
    return JobResult("partial", ErrorInfo("CHANGE_TOO_LARGE", code, reason))


def _plan(runner: BatchRunner, earlier: PlanCursor | None, later: int) -> None:
    job = runner.job
    job.progress("planning")
    with job.checkpoint() as checkpoint:
        request = PlanRequest(
            job,
            runner.target,
            runner.scope,
            runner.settings,
            runner.approved,
            runner.writer.batch_size,
            runner.dry_run,
            earlier,
            later,
        )
        position = make_plan(checkpoint, request)
        checkpoint.counters.metadata["dryRun"] = runner.dry_run
        if position.stop is not None:
            checkpoint.counters.metadata["tooLarge"] = position.stop
        checkpoint.cursor = msgspec.to_builtins(position)
        checkpoint.counters.count(**runner.calls.since_last())


def _prune(job: RunningJob) -> None:
    """Delete old rows, at most so many a job: the next job deletes the rest."""
    for prune in (exchanges.prune, plans.prune, changes.prune, tokens.prune):
        for _ in range(_PRUNE_ROUNDS):
            job.check()
            with job.context.pool.connection() as conn:
                if prune(conn, KEEP, _PRUNE_ROWS) == 0:
                    break
