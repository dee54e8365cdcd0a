"""One batch: read, decide, check, store the intent, write, store the outcome.

1. Without an intent of an earlier attempt: read the channel's present values and decide. In one transaction that only
   the owner of the lease can commit, check the batch as a whole by the guards and store the intent: which values are
   pending, and every change with its value before.
2. Call the channel, outside of any transaction.
3. Stock that changed between 1 and 2 is read again, decided again, stored as step 2 and written once more.
4. One transaction: what the channel now holds, an event an item, the counters, the checkpoint.

After a crash before 1 is committed, nothing was sent. After a crash between 1 and 4, the next attempt finds the intent
and sends the same values under the same idempotency keys. After a crash behind 4, the batch is done.

A job gives its thread back while it waits for long, and its next attempt begins at 1. It keeps the thread in 2 and 3,
because the next attempt would send the whole batch again; only a platform that is down there costs one repeat, as a
crash does.

Hours may pass between the plan and 1, and between two attempts, because a job may be paused. A value that the catalogue
no longer wants is not written, and a value that the channel no longer holds is decided anew.

Two jobs may have one item, such as a retry and a sync by schedule. While one of them writes it, the other one skips it:
otherwise the answers could cross, and the older value would stay.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from psycopg import Connection

from job_events.events import ErrorInfo
from platforms.adapter import CallCounts, FieldWrite, RemoteRecord, Writer
from platforms.errors import PlatformError
from platforms.person_names import same_person
from platforms.settings import AccountSettings
from syncer.domain.fields import Present, Values, last_written_of
from syncer.domain.guard import Approved, GuardDecision, ItemChanges, check_batch, sells_out, unapproved
from syncer.domain.plan import (
    ConflictRules,
    Decision,
    LastWritten,
    decide,
    decide_again,
    decide_revert,
    is_outdated,
    moved_since,
)
from syncer.jobs.item_results import (
    BEING_WRITTEN,
    OUTDATED,
    ItemResult,
    kept_error,
    result_of_item,
    result_of_listed,
)
from syncer.jobs.planning import PlanCursor, mirror_counters
from syncer.jobs.targets import SyncTarget, error_info
from syncer.store import changes, plans, tokens, written
from syncer.store.changes import IntendedChange
from syncer.store.exchanges import ExchangeLog
from syncer.store.outcomes import settle, stage
from syncer.store.plans import FieldOutcome, Intended, Intent, Item
from syncer.store.rows import Scope
from worker.job import Checkpoint, RunningJob

STALE: Final = "CHANGE_FROM_QUANTITY_STALE"
"""The code of a stock that was not written because it had changed since it was read."""
NOT_IN_CHANNEL: Final = ErrorInfo("NOT_FOUND", "GONE_FROM_SHOP", "the mapped record no longer exists in the shop")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch ended. items: as planned. stop: why nothing of it was written: its changes were too many.

    broken_off: what ended it before all was sent. listed: what its changes count for the guards, if it was listed.
    """

    items: Sequence[Item]
    results: Sequence[ItemResult] = ()
    stop: str | None = None
    broken_off: PlatformError | None = None
    listed: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """Runs the batches of one job. approved: the changes that its plan token stands for."""

    job: RunningJob
    target: SyncTarget
    scope: Scope
    settings: AccountSettings
    writer: Writer
    log: ExchangeLog
    calls: CallCounts
    approved: Approved
    dry_run: bool

    def write(self, position: PlanCursor) -> BatchResult:
        """Carry out steps 1 to 3 of a batch; `record` is step 4. Raises PlatformError, Interrupted."""
        items, intent = self._open(position)
        if intent is None:
            decided = self._decide(items)
            intent, stop = self._intend_first(position, items, decided)
            if stop is not None:
                return BatchResult(items, stop=stop)
        elif intent.step == 1:
            again = self._decide_again(items, intent.items)
            intent = self._intend_again(position, items, again)
        outcomes: list[FieldOutcome] = []
        broken_off: PlatformError | None = None
        try:
            with self.job.keeping_thread():
                if intent.step == 1:
                    intent = self._first_step(position, intent, items, outcomes)
                    outcomes.clear()
                outcomes.extend(intent.ended)
                for outcome in self._write(position.next, 2, intent.again):
                    outcomes.append(outcome)  # noqa: PERF402  what was written before an error stays
        except PlatformError as error:
            broken_off = error
        return BatchResult(items, _results(intent, items, outcomes, broken_off), broken_off=broken_off)

    def compare(self, position: PlanCursor) -> BatchResult:
        """What a run that writes would do with a batch. Raises PlatformError, Interrupted."""
        items, _ = self._open(position)
        decided = self._decide(items)
        with self.job.context.pool.connection() as conn:
            checked = self._check(conn, position, items, decided)
        stop = position.stop or checked.stop
        results = [result_of_listed(one, stop) for one in _with_holds(decided, checked)]
        return BatchResult(items, results, stop, listed=(checked.counts.changed, checked.counts.sold_out))

    def record(self, batch: BatchResult, next_cursor: object) -> None:
        """Step 4. A job that was asked to stop records what it has already done, too."""
        items = {item.remote_id: item for item in batch.items}
        with self.job.checkpoint(work_done=True) as checkpoint:
            if not self.dry_run:
                changes.lock(checkpoint.connection, self.scope)
            for result in batch.results:
                self._record_item(checkpoint, items[result.item.remote_id], result)
            if not self.dry_run:
                found = [outcome for result in batch.results if (outcome := result.outcome()) is not None]
                stage(checkpoint.connection, found)
                of_sync = self.target.writes_hub_values
                settle(checkpoint.connection, self.scope, self.job.id, of_sync=of_sync)
            shown = {result.item.remote_id: result.shown for result in batch.results if result.shown}
            if shown:
                checkpoint.counters.metadata["planToken"] = tokens.show(
                    checkpoint.connection, self.scope, self.job.id, shown
                )
            checkpoint.counters.count(batches=1)
            mirror_counters(checkpoint.counters)
            checkpoint.counters.count(**self.calls.since_last())
            checkpoint.cursor = next_cursor

    def _record_item(self, checkpoint: Checkpoint, item: Item, result: ItemResult) -> None:
        checkpoint.counters.count(**result.counts)
        if result.last_written is not None:
            written.confirm(
                checkpoint.connection,
                self.scope,
                self.job.id,
                item.hub_id,
                item.remote_id,
                result.last_written,
                ended=(*result.written, *result.refused),
                up_to_date=result.up_to_date,
            )
            changes.confirm(checkpoint.connection, self.job.id, item.remote_id, result.written, result.refused)
        if result.action is not None:
            checkpoint.item(
                self.scope.item(item.hub_id),
                result.action,
                {self.scope.hub: item.hub_id, self.scope.platform: item.remote_id},
                error=result.error,
                changes=result.changes,
                response_ms=result.ms,
                held=result.held,
                about=self._about(item, result),
            )

    def _about(self, item: Item, result: ItemResult) -> dict[str, str]:
        decision = result.item.decision
        note = self.target.note([*decision.write, *decision.kept, *decision.moved])
        return item.about if note is None else {**item.about, "note": note}

    def _open(self, position: PlanCursor) -> tuple[Sequence[Item], Intent | None]:
        self.log.batch = position.next
        with self.job.context.pool.connection() as conn:
            items = plans.batch(conn, self.scope, self.job.id, position.next)
            return items, plans.intent(conn, self.job.id, position.next)

    def _rules(self) -> ConflictRules:
        return ConflictRules(self.settings.conflict_rule, self.settings.stock_conflict_rule)

    def _decide(self, items: Sequence[Item]) -> Sequence[Intended]:
        """Compare with the values that the channel holds now."""
        now = self._read(items)

        def how(item: Item, present: Present, last_written: LastWritten) -> Decision:
            if item.wrote:
                return decide_revert(item.desired, item.wrote, present)
            return decide(item.desired, present, last_written, self._rules())

        return [_decided(now, item, how) for item in items]

    def _decide_again(self, items: Sequence[Item], intended: Sequence[Intended]) -> Sequence[Intended]:
        """Decide again what an earlier attempt was about to write."""
        before = {one.remote_id: one for one in intended if one.writes}
        writing = [item for item in items if item.remote_id in before]
        now = self._read(writing)

        def how(item: Item, present: Present, last_written: LastWritten) -> Decision:
            earlier = before[item.remote_id].decision
            if not item.wrote:
                return decide_again(earlier, present, last_written, self._rules())
            left = moved_since(earlier, present)
            moved = tuple(change for change in earlier.write if change.field in left)
            kept = tuple(change for change in earlier.write if change.field not in left)
            return replace(earlier, write=kept, moved=(*earlier.moved, *moved))

        again = {item.remote_id: _decided(now, item, how) for item in writing}
        return [again.get(one.remote_id, one) for one in intended]

    def _read(self, items: Sequence[Item]) -> "_Present":
        if not items:
            return _Present({}, {}, {})
        ids = [item.remote_id for item in items]
        records = self.writer.read(ids)
        # Whether an item counts as failed was looked at when the job was planned.
        scope = dataclasses.replace(self.scope, only=tuple(item.hub_id for item in items), failed=None)
        with self.job.context.pool.connection() as conn:
            pairs = [pair for page in self.target.pages(conn, scope, records) for pair in page]
            last_written = written.load(conn, self.scope, ids)
        desired = {(pair.hub_id, pair.remote_id): pair.desired for pair in pairs if pair.problem is None}
        return _Present(records, desired, last_written)

    def _check(
        self, conn: Connection, position: PlanCursor, items: Sequence[Item], decided: Sequence[Intended]
    ) -> GuardDecision:
        """Check a batch with what the account's syncs, this one included, have changed within the last hour."""
        known = {item.remote_id: item.known for item in items}
        state = changes.account_state(conn, self.scope, position.totals, self.job.id, position.next)
        state = dataclasses.replace(
            state, changed=state.changed + position.changed, sold_out=state.sold_out + position.sold_out
        )
        checked = [
            ItemChanges(
                one.remote_id,
                known[one.remote_id],
                unapproved(one.remote_id, one.writes, self.approved, exactly=True),
            )
            for one in decided
        ]
        return check_batch(checked, state, self.settings, same_person, position.sellouts)

    def _intend_first(
        self, position: PlanCursor, items: Sequence[Item], decided: Sequence[Intended]
    ) -> tuple[Intent, str | None]:
        """The intent of a batch, stored if it writes anything, and why the run stops before it."""
        with self.job.checkpoint() as checkpoint:
            changes.lock(checkpoint.connection, self.scope)
            decided = self._without_others(checkpoint.connection, decided)
            checked = self._check(checkpoint.connection, position, items, decided)
            intent = Intent(1, tuple(_with_holds(decided, checked)))
            if checked.stop is None:
                self._store(checkpoint, position, items, intent)
        return intent, checked.stop

    def _intend_again(self, position: PlanCursor, items: Sequence[Item], again: Sequence[Intended]) -> Intent:
        """The intent of an earlier attempt, decided anew: it may have been carried out, so it does not stop the run.

        Values that were decided anew may be held back.
        """
        with self.job.checkpoint() as checkpoint:
            changes.lock(checkpoint.connection, self.scope)
            again = self._without_others(checkpoint.connection, again)
            checked = self._check(checkpoint.connection, position, items, again)
            intent = Intent(1, tuple(_with_holds(again, checked)))
            self._store(checkpoint, position, items, intent)
        return intent

    def _without_others(self, conn: Connection, decided: Sequence[Intended]) -> Sequence[Intended]:
        """What was decided, without the items that another job is writing now."""
        writing = [one.remote_id for one in decided if one.writes]
        theirs = changes.being_written(conn, self.scope, self.job.id, writing) if writing else set[str]()
        return [replace(one, error=BEING_WRITTEN) if one.remote_id in theirs else one for one in decided]

    def _store(self, checkpoint: Checkpoint, position: PlanCursor, items: Sequence[Item], intent: Intent) -> None:
        """Store what is about to be sent; nothing if nothing will be, as nothing can then be sent twice."""
        writing = [one for one in (intent.items if intent.step == 1 else intent.again) if one.writes]
        if not writing:
            return
        known = {item.remote_id: item.known for item in items}
        plans.put_intent(checkpoint.connection, self.job.id, position.next, intent)
        for one in writing:
            pending = {change.field: last_written_of(change.field, change.after) for change in one.writes}
            written.mark_pending(checkpoint.connection, self.scope, self.job.id, one.hub_id, one.remote_id, pending)
        intended = [
            IntendedChange(
                one.hub_id,
                one.remote_id,
                change,
                known=known[one.remote_id],
                approved=not unapproved(one.remote_id, [change], self.approved, exactly=True),
                sold_out=sells_out([change]),
            )
            for one in writing
            for change in one.writes
        ]
        changes.intend(checkpoint.connection, self.scope, self.job.id, intended)

    def _first_step(
        self, position: PlanCursor, intent: Intent, items: Sequence[Item], outcomes: list[FieldOutcome]
    ) -> Intent:
        """Write step 1 and decide on step 2. outcomes: gets what was written so far, also if the channel breaks off."""
        for outcome in self._write(position.next, 1, intent.items):
            outcomes.append(outcome)  # noqa: PERF402  what was written before an error stays
        stale = {(one.remote_id, one.field) for one in outcomes if one.error is not None and one.error.code == STALE}
        ended = tuple(one for one in outcomes if (one.remote_id, one.field) not in stale)
        if not stale:
            return Intent(2, intent.items, ended)
        narrowed = [
            replace(item, desired={f: v for f, v in item.desired.items() if (item.remote_id, f) in stale})
            for item in items
        ]
        again = self._decide([item for item in narrowed if item.desired])
        found = (*ended, *(outcome for item in again for outcome in _without_writing(item, stale)))
        second = Intent(2, intent.items, found, tuple(again))
        with self.job.checkpoint() as checkpoint:
            self._store(checkpoint, position, items, second)
        return second

    def _write(self, number: int, step: int, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        values = [
            FieldWrite(item.remote_id, change.field, change.before, change.after, item.refs)
            for item in items
            for change in item.writes
        ]
        if not values:
            return

        def key(content: object) -> str:
            return plans.idempotency_key(self.job.id, number, step, content)

        for outcome in self.writer.write(values, key):
            error = None if outcome.error is None else error_info(outcome.error)
            yield FieldOutcome(outcome.remote_id, outcome.name, error, outcome.response_ms)


@dataclass(frozen=True, slots=True)
class _Present:
    """What the channel holds now, what the catalogue wants by (hub id, remote id), and what was last written."""

    records: Mapping[str, RemoteRecord]
    desired: Mapping[tuple[str, str], Values]
    last_written: Mapping[str, LastWritten]

    def error(self, item: Item) -> ErrorInfo | None:
        """Why nothing of the item is to be written."""
        desired = self.desired.get((item.hub_id, item.remote_id), {})
        if is_outdated(item.desired, desired):
            return OUTDATED
        return None if item.remote_id in self.records else NOT_IN_CHANNEL


def _decided(now: _Present, item: Item, how: Callable[[Item, Present, LastWritten], Decision]) -> Intended:
    error = now.error(item)
    if error is not None:
        return Intended(item.hub_id, item.remote_id, error=error)
    record, last_written = now.records[item.remote_id], now.last_written.get(item.remote_id, LastWritten())
    return Intended(item.hub_id, item.remote_id, how(item, record.fields, last_written), dict(record.refs))


def _with_holds(decided: Iterable[Intended], checked: GuardDecision) -> list[Intended]:
    return [replace(one, held=one.held or checked.held.get(one.remote_id)) for one in decided]


def _results(
    intent: Intent, items: Sequence[Item], outcomes: Sequence[FieldOutcome], broken_off: PlatformError | None
) -> list[ItemResult]:
    by_item: dict[str, list[FieldOutcome]] = {}
    for outcome in outcomes:
        by_item.setdefault(outcome.remote_id, []).append(outcome)
    desired = {item.remote_id: item.desired for item in items}
    error = None if broken_off is None else error_info(broken_off)
    found = [result_of_item(one, desired[one.remote_id], by_item.get(one.remote_id, []), error) for one in intent.items]
    return [result for result in found if result is not None]


def _without_writing(item: Intended, stale: set[tuple[str, str]]) -> Iterable[FieldOutcome]:
    """What the second read ends without a write: not in the channel, as desired by now, or kept by the rule."""
    if item.error is not None:
        names = [name for remote_id, name in sorted(stale) if remote_id == item.remote_id]
        return [FieldOutcome(item.remote_id, name, item.error) for name in names]
    same = [FieldOutcome(item.remote_id, name) for name in item.decision.same]
    left = [*item.decision.kept, *item.decision.moved]
    kept = [FieldOutcome(item.remote_id, change.field, kept_error([change.field])) for change in left]
    return [*same, *kept]
