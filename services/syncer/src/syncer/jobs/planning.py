"""The plan of a job: every pair compared with its believed values, and the whole checked by the guards."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from psycopg import Connection

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
from syncer.domain.plan import Change, expected_changes, new_agreements
from syncer.jobs.targets import Pair, SyncTarget
from syncer.store import changes, written
from syncer.store.plans import Item, PlanWriter
from syncer.store.rows import Scope
from worker.job import Checkpoint, RunningJob


class PlanCursor(Struct, frozen=True):
    """The job's cursor once it is planned: the next batch of so many.

    phase: `write`, or `list` where nothing is written and every change is shown. stop: why a run that writes stops,
    or would stop. sellouts: why items whose stock goes to zero are held back. totals: of the account.
    changed, sold_out: what the batches that were listed so far count for the guards.
    """

    phase: Literal["write", "list"]
    next: int
    batches: int
    stop: str | None = msgspec.field(default=None, name="reason")  # stored under the name that older releases read
    sellouts: str | None = None
    totals: AccountTotals = AccountTotals()
    changed: int = 0
    sold_out: int = 0


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
    """What a plan is made for. approved: the changes that the job's plan token stands for."""

    job: RunningJob
    target: SyncTarget
    scope: Scope
    settings: AccountSettings
    approved: Approved
    batch_size: int
    dry_run: bool


def make_plan(checkpoint: Checkpoint, request: PlanRequest) -> PlanCursor:
    """Store the plan in the checkpoint's transaction and count what needs no write; where the job goes on."""
    job, target, scope, conn = request.job, request.target, request.scope, checkpoint.connection
    counts = ChangeCounts()
    plan = PlanWriter(conn, scope.platform, job.id, request.batch_size)
    checkpoint.counters.total = target.count(conn, scope)
    checkpoint.counters.count(batches=0, updated=0, unchanged=0, conflicts=0, held=0)
    for pairs in target.pages(conn, scope, {}):
        job.check()
        items: list[Item] = []
        agreements: dict[tuple[str, str], dict[str, str]] = {}
        for pair in pairs:
            expected = _expected(checkpoint, scope, pair)
            known = bool(pair.last_written.written)
            if expected:
                counts.add(
                    ItemChanges(
                        pair.remote_id,
                        known,
                        unapproved(pair.remote_id, expected, request.approved, exactly=False),
                    ),
                    same_person,
                )
                items.append(
                    Item(
                        pair.hub_id,
                        pair.remote_id,
                        dict(pair.desired),
                        expected,
                        known,
                        dict(pair.about),
                        dict(pair.wrote),
                    )
                )
            elif found := new_agreements(pair.desired, pair.catalogue, pair.last_written):
                agreements[pair.hub_id, pair.remote_id] = found
        plan.add(items)
        if not request.dry_run:
            written.agree(conn, scope, job.id, agreements)
    totals = changes.account_totals(conn, scope)
    state = changes.account_state(conn, scope, totals, job.id)
    stop = stop_reason(counts, state, request.settings)
    return PlanCursor(
        phase="list" if stop or request.dry_run else "write",
        next=0,
        batches=plan.batches,
        stop=stop,
        sellouts=sellout_reason(counts, state, request.settings),
        totals=totals,
    )


def _expected(checkpoint: Checkpoint, scope: Scope, pair: Pair) -> tuple[Change, ...]:
    """The changes expected of a pair; one without any is counted at once."""
    ids = {scope.hub: pair.hub_id, scope.platform: pair.remote_id}
    if pair.problem is not None:
        action = "skipped" if pair.skipped else "failed"
        checkpoint.item(pair.hub_id, action, ids, error=pair.problem, about=pair.about)
        checkpoint.counters.count(skipped=int(pair.skipped), failed=int(not pair.skipped))
        return ()
    expected = expected_changes(pair.desired, pair.catalogue, pair.pulled_at, pair.last_written)
    if not expected:
        checkpoint.counters.count(successful=1, unchanged=1)
    return expected
