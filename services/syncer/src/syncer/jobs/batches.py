"""One batch: read, decide, note the intent, write, note the outcome.

1. Without an intent of an earlier attempt: read the platform's present values and decide. Store the intent, and with
   it which values are pending, in one transaction that only the owner of the lease can commit.
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
from functools import partial
from typing import Final

from msgspec.structs import replace

from job_events.events import ErrorInfo
from job_events.worker.job import RunningJob
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain.fields import Present, Values, memory_of
from syncer.domain.plan import ConflictRule, Decision, Memory, decide, decide_again
from syncer.jobs.calls import CallCounter
from syncer.jobs.side import Read, Side, Writing
from syncer.jobs.verdicts import OUTDATED, Verdict, judge_dry, judge_item, kept_error
from syncer.store import plans, rows, written
from syncer.store.exchanges import ExchangeLog
from syncer.store.plans import FieldOutcome, Intended, Intent, Item
from syncer.store.rows import Scope

STALE: Final = "CHANGE_FROM_QUANTITY_STALE"
_GONE: Final = ErrorInfo("NOT_FOUND", "GONE_FROM_SHOP", "the mapped record no longer exists in the shop")


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """Runs the batches of one job."""

    job: RunningJob
    side: Side
    scope: Scope
    settings: AccountSettings
    client: ShopifyClient
    log: ExchangeLog
    calls: CallCounter

    def run(self, number: int, *, dry_run: bool) -> list[Verdict]:
        """Carry a batch out up to step 3; `record` is step 4. Raises PlatformError, Interrupted."""
        self.log.batch = number
        with self.job.around.pool.connection() as conn:
            items = plans.batch(conn, self.job.id, number)
            intent = plans.intent(conn, self.job.id, number)
        if dry_run:
            return [judge_dry(one) for one in self._decide(items)]
        if intent is None:
            intent = self._intend(number, Intent(1, tuple(self._decide(items))))
        elif intent.step == 1:
            intent = self._intend(number, Intent(1, tuple(self._decide_again(items, intent.items))))
        if intent.step == 1:
            intent = self._first_step(number, intent, items)
        outcomes = [*intent.settled, *self._write(number, 2, intent.again)]
        by_item: dict[str, list[FieldOutcome]] = {}
        for outcome in outcomes:
            by_item.setdefault(outcome.shopify_id, []).append(outcome)
        desired = {item.shopify_id: item.desired for item in items}
        return [judge_item(one, desired[one.shopify_id], by_item.get(one.shopify_id, [])) for one in intent.items]

    def record(self, verdicts: Sequence[Verdict], next_cursor: object) -> None:
        """Step 4. Even a job that was asked to stop says what it has already done."""
        with self.job.page(work_done=True) as page:
            for verdict in verdicts:
                item = verdict.item
                page.tally.count(**verdict.counts)
                if verdict.memories is not None:
                    written.settle(
                        page.connection,
                        self.scope,
                        self.job.id,
                        item.nhanh_id,
                        item.shopify_id,
                        verdict.memories,
                        fresh=verdict.right,
                    )
                if verdict.action is not None:
                    page.item(
                        item.nhanh_id,
                        verdict.action,
                        {"nhanh": item.nhanh_id, "shopify": item.shopify_id},
                        error=verdict.error,
                        changes=verdict.changes,
                        response_ms=verdict.ms,
                    )
            page.tally.count(batches=1)
            self.calls.count(page.tally)
            page.cursor = next_cursor

    def _decide(self, items: Sequence[Item]) -> list[Intended]:
        """Compare with the values that the platform holds now."""
        now = self._look(items)
        return [self._decided(now, item, partial(decide, item.desired)) for item in items]

    def _decide_again(self, items: Sequence[Item], intended: Sequence[Intended]) -> list[Intended]:
        """Look once more at what an earlier attempt was about to write."""
        before = {one.shopify_id: one.decision for one in intended if one.decision.write}
        writing = [item for item in items if item.shopify_id in before]
        now = self._look(writing)
        again = {
            item.shopify_id: self._decided(now, item, partial(decide_again, before[item.shopify_id]))
            for item in writing
        }
        return [again.get(one.shopify_id, one) for one in intended]

    def _decided(self, now: "_Now", item: Item, how: Callable[[Present, Memory, ConflictRule], Decision]) -> Intended:
        error = now.error(item)
        if error is not None:
            return Intended(item.nhanh_id, item.shopify_id, error=error)
        read, memory = now.present[item.shopify_id], now.memories.get(item.shopify_id, Memory())
        decision = how(read.fields, memory, self.settings.conflict_rule)
        return Intended(item.nhanh_id, item.shopify_id, decision, read.refs)

    def _look(self, items: Sequence[Item]) -> "_Now":
        if not items:
            return _Now({}, {}, {})
        ids = [item.shopify_id for item in items]
        present = self.side.read(self.client, ids)
        scope = dataclasses.replace(self.scope, only=tuple(item.nhanh_id for item in items))
        with self.job.around.pool.connection() as conn:
            pairs = [pair for found in rows.pages_of_pairs(conn, scope) for pair in self.side.pairs(conn, scope, found)]
            memories = written.load(conn, self.scope, ids)
        wanted = {(pair.nhanh_id, pair.shopify_id): pair.desired for pair in pairs}
        return _Now(present, wanted, memories)

    def _intend(self, number: int, intent: Intent) -> Intent:
        items = intent.items if intent.step == 1 else intent.again
        if not any(item.decision.write for item in items):
            return intent  # nothing will be sent, so nothing could be sent twice
        with self.job.page() as page:
            plans.put_intent(page.connection, self.job.id, number, intent)
            for item in items:
                pending = {change.field: memory_of(change.field, change.after) for change in item.decision.write}
                if pending:
                    written.pend(page.connection, self.scope, self.job.id, item.nhanh_id, item.shopify_id, pending)
        return intent

    def _first_step(self, number: int, intent: Intent, items: Sequence[Item]) -> Intent:
        outcomes = self._write(number, 1, intent.items)
        stale = {(one.shopify_id, one.field) for one in outcomes if one.error is not None and one.error.code == STALE}
        settled = tuple(one for one in outcomes if (one.shopify_id, one.field) not in stale)
        if not stale:
            return Intent(2, intent.items, settled)
        narrowed = [
            replace(item, desired={f: v for f, v in item.desired.items() if (item.shopify_id, f) in stale})
            for item in items
        ]
        again = self._decide([item for item in narrowed if item.desired])
        found = (*settled, *(outcome for item in again for outcome in _without_writing(item, stale)))
        return self._intend(number, Intent(2, intent.items, found, tuple(again)))

    def _write(self, number: int, step: int, items: Sequence[Intended]) -> list[FieldOutcome]:
        if not any(item.decision.write for item in items):
            return []
        return self.side.write(Writing(self.client, self.log, self.job.id, number, step), items)


@dataclass(frozen=True, slots=True)
class _Now:
    """What the platform holds, what the catalogue wants by (Nhanh id, Shopify id), and what we remember."""

    present: Mapping[str, Read]
    wanted: Mapping[tuple[str, str], Values]
    memories: Mapping[str, Memory]

    def error(self, item: Item) -> ErrorInfo | None:
        """Why nothing of the item is to be written."""
        wanted = self.wanted.get((item.nhanh_id, item.shopify_id), {})
        if any(wanted.get(name) != value for name, value in item.desired.items()):
            return OUTDATED
        return None if item.shopify_id in self.present else _GONE


def _without_writing(item: Intended, stale: set[tuple[str, str]]) -> Iterable[FieldOutcome]:
    """What the second look settles without a write: gone, right by now, or kept by the rule."""
    if item.error is not None:
        names = [name for shopify_id, name in sorted(stale) if shopify_id == item.shopify_id]
        return [FieldOutcome(item.shopify_id, name, item.error) for name in names]
    right = [FieldOutcome(item.shopify_id, name) for name in item.decision.same]
    kept = [FieldOutcome(item.shopify_id, change.field, kept_error([change.field])) for change in item.decision.kept]
    return [*right, *kept]
