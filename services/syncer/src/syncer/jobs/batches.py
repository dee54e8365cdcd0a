"""One batch: read, decide, judge, note the intent, write, note the outcome.

1. Without an intent of an earlier attempt: read the platform's present values and decide. In one transaction that only
   the owner of the lease can commit, judge the batch as a whole and store the intent: which values are pending, and
   every change with its value before.
2. Call the platform, outside of any transaction.
3. Stock that changed between 1 and 2 is read again, decided again, noted as step 2 and written once more.
4. One transaction: what the platform now holds, an event an item, the counters, the checkpoint.

Killed before 1 is committed, nothing was sent. Killed between 1 and 4, the next attempt finds the intent and sends
the same values under the same idempotency keys. Killed after 4, the batch is behind the checkpoint.

Between the plan and 1, and between two attempts, hours may lie: a job may be paused. What the catalogue wants by now
otherwise is not written, and what the platform holds by now otherwise is decided anew.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from psycopg import Connection

from job_events.events import ErrorInfo
from platforms.errors import PlatformError
from platforms.person_names import same_person
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain.fields import Present, Values, last_written_of
from syncer.domain.guard import Approved, GuardDecision, ItemChanges, judge, sells_out, unapproved
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
from syncer.jobs.calls import CallCounter
from syncer.jobs.planning import PlanCursor
from syncer.jobs.side import Read, SyncTarget, Writing, error_info
from syncer.jobs.verdicts import OUTDATED, Verdict, judge_item, judge_listed, kept_error
from syncer.store import changes, plans, tokens, written
from syncer.store.changes import IntendedChange
from syncer.store.exchanges import ExchangeLog
from syncer.store.plans import FieldOutcome, Intended, Intent, Item
from syncer.store.rows import Scope
from worker.job import Checkpoint, RunningJob

STALE: Final = "CHANGE_FROM_QUANTITY_STALE"
_GONE: Final = ErrorInfo("NOT_FOUND", "GONE_FROM_SHOP", "the mapped record no longer exists in the shop")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch ended. stop: its changes were too many, and nothing of it was written.

    broken_off: what ended it before all was sent. listed: what its changes count for the guards, if it was listed.
    """

    verdicts: Sequence[Verdict] = ()
    stop: str | None = None
    broken_off: PlatformError | None = None
    listed: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """Runs the batches of one job. approved: the changes that its plan token stands for."""

    job: RunningJob
    side: SyncTarget
    scope: Scope
    settings: AccountSettings
    client: ShopifyClient
    log: ExchangeLog
    calls: CallCounter
    approved: Approved

    def write(self, position: PlanCursor) -> BatchResult:
        """Carry out steps 1 to 3 of a batch; `record` is step 4. Raises PlatformError, Interrupted."""
        items, intent = self._open(position)
        if intent is None:
            decided = self._decide(items)
            intent, stop = self._intend_first(position, items, decided)
            if stop is not None:
                return BatchResult(stop=stop)
        elif intent.step == 1:
            again = self._decide_again(items, intent.items)
            intent = self._intend_again(position, items, again)
        outcomes: list[FieldOutcome] = []
        broken_off: PlatformError | None = None
        try:
            if intent.step == 1:
                intent = self._first_step(position, intent, items, outcomes)
                outcomes.clear()
            outcomes.extend(intent.settled)
            for outcome in self._write(position.next, 2, intent.again):
                outcomes.append(outcome)  # noqa: PERF402  what was told before an error stays
        except PlatformError as error:
            broken_off = error
        return BatchResult(_verdicts(intent, items, outcomes, broken_off), broken_off=broken_off)

    def compare(self, position: PlanCursor) -> BatchResult:
        """What a run that writes would do with a batch. Raises PlatformError, Interrupted."""
        items, _ = self._open(position)
        decided = self._decide(items)
        with self.job.context.pool.connection() as conn:
            judgement = self._judge(conn, position, items, decided)
        stop = position.stop or judgement.stop
        verdicts = [judge_listed(one, stop) for one in _with_holds(decided, judgement)]
        return BatchResult(verdicts, stop, listed=(judgement.counts.changed, judgement.counts.sold_out))

    def record(self, result: BatchResult, position: PlanCursor, next_cursor: object) -> None:
        """Step 4. Even a job that was asked to stop says what it has already done."""
        items = {item.remote_id: item for item in self._open(position)[0]}
        with self.job.checkpoint(work_done=True) as checkpoint:
            for verdict in result.verdicts:
                self._record_item(checkpoint, items[verdict.item.remote_id], verdict)
            shown = {verdict.item.remote_id: verdict.shown for verdict in result.verdicts if verdict.shown}
            if shown:
                checkpoint.counters.metadata["planToken"] = tokens.show(
                    checkpoint.connection, self.scope, self.job.id, shown
                )
            checkpoint.counters.count(batches=1)
            self.calls.count(checkpoint.counters)
            checkpoint.cursor = next_cursor

    def _record_item(self, checkpoint: Checkpoint, item: Item, verdict: Verdict) -> None:
        checkpoint.counters.count(**verdict.counts)
        if verdict.memories is not None:
            written.confirm(
                checkpoint.connection,
                self.scope,
                self.job.id,
                item.hub_id,
                item.remote_id,
                verdict.memories,
                settled=(*verdict.written, *verdict.refused),
                fresh=verdict.right,
            )
            changes.confirm(checkpoint.connection, self.job.id, item.remote_id, verdict.written, verdict.refused)
        if verdict.action is not None:
            checkpoint.item(
                item.hub_id,
                verdict.action,
                {"nhanh": item.hub_id, "shopify": item.remote_id},
                error=verdict.error,
                changes=verdict.changes,
                response_ms=verdict.ms,
                held=verdict.held,
                about=self._about(item, verdict),
            )

    def _about(self, item: Item, verdict: Verdict) -> dict[str, str]:
        decision = verdict.item.decision
        note = self.side.note([*decision.write, *decision.kept, *decision.moved])
        return item.about if note is None else {**item.about, "note": note}

    def _open(self, position: PlanCursor) -> tuple[Sequence[Item], Intent | None]:
        self.log.batch = position.next
        with self.job.context.pool.connection() as conn:
            return plans.batch(conn, self.scope, self.job.id, position.next), plans.intent(
                conn, self.job.id, position.next
            )

    def _rules(self) -> ConflictRules:
        return ConflictRules(self.settings.conflict_rule, self.settings.stock_conflict_rule)

    def _decide(self, items: Sequence[Item]) -> Sequence[Intended]:
        """Compare with the values that the platform holds now."""
        now = self._look(items)

        def how(item: Item, present: Present, memory: LastWritten) -> Decision:
            if item.wrote:
                return decide_revert(item.desired, item.wrote, present)
            return decide(item.desired, present, memory, self._rules())

        return [_decided(now, item, how) for item in items]

    def _decide_again(self, items: Sequence[Item], intended: Sequence[Intended]) -> Sequence[Intended]:
        """Look once more at what an earlier attempt was about to write."""
        before = {one.remote_id: one for one in intended if one.writes}
        writing = [item for item in items if item.remote_id in before]
        now = self._look(writing)

        def how(item: Item, present: Present, memory: LastWritten) -> Decision:
            earlier = before[item.remote_id].decision
            if not item.wrote:
                return decide_again(earlier, present, memory, self._rules())
            left = moved_since(earlier, present)
            moved = tuple(change for change in earlier.write if change.field in left)
            kept = tuple(change for change in earlier.write if change.field not in left)
            return replace(earlier, write=kept, moved=(*earlier.moved, *moved))

        again = {item.remote_id: _decided(now, item, how) for item in writing}
        return [again.get(one.remote_id, one) for one in intended]

    def _look(self, items: Sequence[Item]) -> "_Now":
        if not items:
            return _Now({}, {}, {})
        ids = [item.remote_id for item in items]
        present = self.side.read(self.client, ids)
        scope = dataclasses.replace(self.scope, only=tuple(item.hub_id for item in items))
        with self.job.context.pool.connection() as conn:
            pairs = [pair for checkpoint in self.side.pages(conn, scope) for pair in checkpoint]
            memories = written.load(conn, self.scope, ids)
        wanted = {(pair.hub_id, pair.remote_id): pair.desired for pair in pairs if pair.problem is None}
        return _Now(present, wanted, memories)

    def _judge(
        self, conn: Connection, position: PlanCursor, items: Sequence[Item], decided: Sequence[Intended]
    ) -> GuardDecision:
        """Judge a batch with what the account's syncs, this one included, have changed within the last hour."""
        known = {item.remote_id: item.known for item in items}
        state = changes.account_state(conn, self.scope, position.totals, self.job.id, position.next)
        state = dataclasses.replace(
            state, changed=state.changed + position.changed, sold_out=state.sold_out + position.sold_out
        )
        judged = [
            ItemChanges(
                one.remote_id,
                known[one.remote_id],
                unapproved(one.remote_id, one.writes, self.approved, exactly=True),
            )
            for one in decided
        ]
        return judge(judged, state, self.settings, same_person, position.sellouts)

    def _intend_first(
        self, position: PlanCursor, items: Sequence[Item], decided: Sequence[Intended]
    ) -> tuple[Intent, str | None]:
        """The intent of a batch, stored if it writes anything, and why the run stops before it."""
        with self.job.checkpoint() as checkpoint:
            changes.lock(checkpoint.connection, self.scope)
            judgement = self._judge(checkpoint.connection, position, items, decided)
            intent = Intent(1, tuple(_with_holds(decided, judgement)))
            if judgement.stop is None:
                self._store(checkpoint, position, items, intent)
        return intent, judgement.stop

    def _intend_again(self, position: PlanCursor, items: Sequence[Item], again: Sequence[Intended]) -> Intent:
        """An intent of an earlier attempt, looked at anew: it may have been carried out, so it does not stop any more.

        Values that were decided anew may be held back.
        """
        with self.job.checkpoint() as checkpoint:
            changes.lock(checkpoint.connection, self.scope)
            judgement = self._judge(checkpoint.connection, position, items, again)
            intent = Intent(1, tuple(_with_holds(again, judgement)))
            self._store(checkpoint, position, items, intent)
        return intent

    def _store(self, checkpoint: Checkpoint, position: PlanCursor, items: Sequence[Item], intent: Intent) -> None:
        """Note what is about to be sent; nothing if nothing will be, as nothing could then be sent twice."""
        writing = [one for one in (intent.items if intent.step == 1 else intent.again) if one.writes]
        if not writing:
            return
        known = {item.remote_id: item.known for item in items}
        plans.put_intent(checkpoint.connection, self.job.id, position.next, intent)
        for one in writing:
            pending = {change.field: last_written_of(change.field, change.after) for change in one.writes}
            written.mark_pending(checkpoint.connection, self.scope, self.job.id, one.hub_id, one.remote_id, pending)
        noted = [
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
        changes.intend(checkpoint.connection, self.scope, self.job.id, noted)

    def _first_step(
        self, position: PlanCursor, intent: Intent, items: Sequence[Item], outcomes: list[FieldOutcome]
    ) -> Intent:
        """Write step 1 and decide on step 2. `outcomes` holds what was told so far, should the platform break off."""
        for outcome in self._write(position.next, 1, intent.items):
            outcomes.append(outcome)  # noqa: PERF402  what was told before an error stays
        stale = {(one.remote_id, one.field) for one in outcomes if one.error is not None and one.error.code == STALE}
        settled = tuple(one for one in outcomes if (one.remote_id, one.field) not in stale)
        if not stale:
            return Intent(2, intent.items, settled)
        narrowed = [
            replace(item, desired={f: v for f, v in item.desired.items() if (item.remote_id, f) in stale})
            for item in items
        ]
        again = self._decide([item for item in narrowed if item.desired])
        found = (*settled, *(outcome for item in again for outcome in _without_writing(item, stale)))
        second = Intent(2, intent.items, found, tuple(again))
        with self.job.checkpoint() as checkpoint:
            self._store(checkpoint, position, items, second)
        return second

    def _write(self, number: int, step: int, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        if not any(item.writes for item in items):
            return []
        return self.side.write(Writing(self.client, self.log, self.job.id, number, step), items)


@dataclass(frozen=True, slots=True)
class _Now:
    """What the platform holds, what the catalogue wants by (Nhanh id, Shopify id), and what we remember."""

    present: Mapping[str, Read]
    wanted: Mapping[tuple[str, str], Values]
    memories: Mapping[str, LastWritten]

    def error(self, item: Item) -> ErrorInfo | None:
        """Why nothing of the item is to be written."""
        wanted = self.wanted.get((item.hub_id, item.remote_id), {})
        if is_outdated(item.desired, wanted):
            return OUTDATED
        return None if item.remote_id in self.present else _GONE


def _decided(now: _Now, item: Item, how: Callable[[Item, Present, LastWritten], Decision]) -> Intended:
    error = now.error(item)
    if error is not None:
        return Intended(item.hub_id, item.remote_id, error=error)
    read, memory = now.present[item.remote_id], now.memories.get(item.remote_id, LastWritten())
    return Intended(item.hub_id, item.remote_id, how(item, read.fields, memory), read.refs)


def _with_holds(decided: Iterable[Intended], judgement: GuardDecision) -> list[Intended]:
    return [replace(one, held=one.held or judgement.held.get(one.remote_id)) for one in decided]


def _verdicts(
    intent: Intent, items: Sequence[Item], outcomes: Sequence[FieldOutcome], broken_off: PlatformError | None
) -> list[Verdict]:
    by_item: dict[str, list[FieldOutcome]] = {}
    for outcome in outcomes:
        by_item.setdefault(outcome.remote_id, []).append(outcome)
    desired = {item.remote_id: item.desired for item in items}
    error = None if broken_off is None else error_info(broken_off)
    found = [judge_item(one, desired[one.remote_id], by_item.get(one.remote_id, []), error) for one in intent.items]
    return [verdict for verdict in found if verdict is not None]


def _without_writing(item: Intended, stale: set[tuple[str, str]]) -> Iterable[FieldOutcome]:
    """What the second look settles without a write: gone, right by now, or kept by the rule."""
    if item.error is not None:
        names = [name for remote_id, name in sorted(stale) if remote_id == item.remote_id]
        return [FieldOutcome(item.remote_id, name, item.error) for name in names]
    right = [FieldOutcome(item.remote_id, name) for name in item.decision.same]
    left = [*item.decision.kept, *item.decision.moved]
    kept = [FieldOutcome(item.remote_id, change.field, kept_error([change.field])) for change in left]
    return [*right, *kept]
