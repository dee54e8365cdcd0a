"""The plan of a job: every mapped pair compared with what is believed of the shop, and the stop if it is too much."""

from job_events.events import FieldChange
from job_events.worker.job import Page, RunningJob
from platforms.settings import AccountSettings
from syncer.domain.plan import Change, expected_changes
from syncer.domain.safety import Extent
from syncer.jobs.side import Pair, Side
from syncer.jobs.verdicts import field_changes
from syncer.store import plans, rows
from syncer.store.plans import Item, PlanWriter
from syncer.store.rows import Scope


def make_plan(
    page: Page, job: RunningJob, side: Side, scope: Scope, settings: AccountSettings
) -> tuple[int, str | None]:
    """Write the plan in the page's transaction and count what needs no write; the batches and the stop's reason."""
    extent = Extent()
    plan = PlanWriter(page.connection, job.id, side.batch_size)
    page.tally.total = rows.count_pairs(page.connection, scope)
    page.tally.count(batches=0, updated=0, unchanged=0, conflicts=0)
    for found in rows.pages_of_pairs(page.connection, scope):
        job.check()
        items: list[Item] = []
        for pair in side.pairs(page.connection, scope, found):
            changes = _expected(page, pair)
            extent.add(pair.nhanh_id, known=bool(pair.memory.written), changes=changes)
            if changes:
                items.append(Item(pair.nhanh_id, pair.shopify_id, dict(pair.desired), changes))
        plan.add(items)
    return plan.batches, extent.too_large(settings.max_change_share, settings.max_change_floor)


def list_batch(page: Page, job_id: str, number: int) -> None:
    """Record what a stopped run would have changed, by what is believed of the shop."""
    for item in plans.batch(page.connection, job_id, number):
        ids = {"nhanh": item.nhanh_id, "shopify": item.shopify_id}
        changes: tuple[FieldChange, ...] = field_changes(item.expected)
        page.item(item.nhanh_id, "would_update", ids, changes=changes)
        page.tally.count(skipped=1, wouldUpdate=1)


def _expected(page: Page, pair: Pair) -> tuple[Change, ...]:
    """The changes expected of a pair; one without any is counted at once."""
    ids = {"nhanh": pair.nhanh_id, "shopify": pair.shopify_id}
    if pair.problem is not None:
        page.item(pair.nhanh_id, "skipped" if pair.skipped else "failed", ids, error=pair.problem)
        page.tally.count(skipped=int(pair.skipped), failed=int(not pair.skipped))
        return ()
    changes = expected_changes(pair.desired, pair.catalogue, pair.pulled_at, pair.memory)
    if not changes:
        page.tally.count(successful=1, unchanged=1)
    return changes
