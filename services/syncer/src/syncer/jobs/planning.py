"""The plan of a job: every pair compared with its believed values, and the whole checked by the guards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from psycopg import Connection

from platforms.adapter import Kind
from platforms.person_names import same_person
from platforms.settings import AccountSettings
from syncer.domain.guard import (
    AccountTotals,
    Approved,
    ChangeCounts,
    ItemChanges,
    sellout_reason,
    stop_reason,
    unapproved,
)
from syncer.domain.plan import expected_changes, new_agreements
from syncer.jobs.targets import Pair, SyncTarget
from syncer.store import changes, outcomes
from syncer.store.outcomes import ItemOutcome
from syncer.store.plans import Item, PlanWriter
from syncer.store.rows import Scope
from worker.job import Checkpoint, RunningJob
from worker.job_result import JobCounters


class PlanCursor(Struct, frozen=True):
    """The job's cursor once it is planned: the next batch of so many.

    phase: `write`, or `list` where nothing is written and every change is shown. stop: why a run that writes stops,
    or would stop. sellouts: why items whose stock goes to zero are held back. totals: of the account.
    changed, sold_out: what the batches that were listed so far count for the guards. kind: which of the job's kinds of
    records is planned; None: its only one. stopped: why a dry run of an earlier kind would stop.
    """

    phase: Literal["write", "list"]
    next: int
    batches: int
    stop: str | None = msgspec.field(default=None, name="reason")  # stored under the name that older releases read
    sellouts: str | None = None
    totals: AccountTotals = AccountTotals()
    changed: int = 0
    sold_out: int = 0
    kind: Kind | None = None
    stopped: str | None = None


def read_cursor(cursor: Any, *, dry_run: bool) -> PlanCursor:
    """The stored cursor of a planned job; an older release may have stored it.

    There a dry run had the phase `write`, and a run that writes kept the reason that a person had confirmed.
    """
    position = msgspec.convert(cursor, PlanCursor)
    if dry_run:
        return replace(position, phase="list")
    return position if position.phase == "list" else replace(position, stop=None)


def with_totals(conn: Connection, scope: Scope, position: PlanCursor, cursor: Any) -> PlanCursor:
    """The cursor with the account's totals, which are read where the release that planned the job stored none."""
    return position if "totals" in cursor else replace(position, totals=changes.account_totals(conn, scope))


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is made for. approved: the changes that the job's plan token stands for.

    earlier: where the job has ended with an earlier kind of records. later: how many items follow with later kinds.
    """

    job: RunningJob
    target: SyncTarget
    scope: Scope
    settings: AccountSettings
    approved: Approved
    batch_size: int
    dry_run: bool
    earlier: PlanCursor | None = None
    later: int = 0


def make_plan(checkpoint: Checkpoint, request: PlanRequest) -> PlanCursor:
    """Store the plan in the checkpoint's transaction and count what needs no write; where the job goes on."""
    job, target, scope, conn = request.job, request.target, request.scope, checkpoint.connection
    first = 0 if request.earlier is None else request.earlier.batches
    counts = ChangeCounts()
    plan = PlanWriter(conn, scope.platform, job.id, request.batch_size, first)
    checkpoint.counters.total = checkpoint.counters.processed + target.count(conn, scope) + request.later
    checkpoint.counters.count(batches=0, created=0, updated=0, unchanged=0, conflicts=0, held=0)
    found: set[str] = set()
    for pairs in target.pages(conn, scope, {}):
        job.check()
        if scope.only is not None:
            found.update(pair.hub_id for pair in pairs)
        _plan_page(checkpoint, request, plan, counts, pairs)
    for pairs in target.absent(conn, scope, found):
        job.check()
        _plan_page(checkpoint, request, plan, counts, pairs)
    mirror_counters(checkpoint.counters)
    if not request.dry_run:
        changes.lock(conn, scope)
        outcomes.settle(conn, scope, job.id, of_sync=target.writes_hub_values)
        outcomes.forget_unlinked(conn, scope)
    totals = changes.account_totals(conn, scope)
    state = changes.account_state(conn, scope, totals, job.id)
    stop = stop_reason(counts, state, request.settings)
    return PlanCursor(
        phase="list" if stop or request.dry_run else "write",
        next=first,
        batches=plan.batches,
        stop=stop,
        sellouts=sellout_reason(counts, state, request.settings),
        totals=totals,
        kind=scope.kind if scope.mixed else None,
        stopped=None if request.earlier is None else request.earlier.stopped or request.earlier.stop,
    )


def mirror_counters(counters: JobCounters) -> None:
    """Name in the metadata, too, what people read there beside `updated` and `unchanged`."""
    counters.metadata |= {"skipped": counters.skipped, "failed": counters.failed}


def _plan_page(
    checkpoint: Checkpoint,
    request: PlanRequest,
    plan: PlanWriter,
    counts: ChangeCounts,
    pairs: Sequence[Pair],
) -> None:
    items: list[Item] = []
    found: list[ItemOutcome] = []
    for pair in pairs:
        if pair.problem is not None:
            found.extend(_refused(checkpoint, request.scope, pair))
            continue
        expected = expected_changes(pair.desired, pair.catalogue, pair.pulled_at, pair.last_written)
        if not expected:
            checkpoint.counters.count(successful=1, unchanged=1)
            agreed = new_agreements(pair.desired, pair.catalogue, pair.last_written) or None
            found.append(ItemOutcome(pair.hub_id, pair.remote_id, synced=True, agreed=agreed))
            continue
        known = bool(pair.last_written.written)
        unconfirmed = unapproved(pair.remote_id, expected, request.approved, exactly=False)
        counts.add(ItemChanges(pair.remote_id, known, unconfirmed), same_person)
        desired, about, wrote = dict(pair.desired), dict(pair.about), dict(pair.wrote)
        items.append(Item(pair.hub_id, pair.remote_id, desired, expected, known, about, wrote))
    plan.add(items)
    if not request.dry_run:
        outcomes.stage(checkpoint.connection, found)


def _refused(checkpoint: Checkpoint, scope: Scope, pair: Pair) -> list[ItemOutcome]:
    """Record a pair that cannot be synced; what is kept of it: only a failure of a linked pair can be retried."""
    action = "skipped" if pair.skipped else "failed"
    ids = {scope.hub: pair.hub_id, scope.platform: pair.remote_id}
    named = {platform: record for platform, record in ids.items() if record}
    checkpoint.item(scope.item(pair.hub_id), action, named, error=pair.problem, about=pair.about)
    checkpoint.counters.count(skipped=int(pair.skipped), failed=int(not pair.skipped))
    if pair.skipped or not pair.remote_id:
        return []
    return [ItemOutcome(pair.hub_id, pair.remote_id, failure=pair.problem)]
