"""REPAIR_IDS: moves links to the variants that replaced theirs.

Shopify gives a variant that is deleted and created again new ids: of the variant and of its inventory item. The link
moves where exactly one record took its place (domain/replacements.py). What the syncer wrote last is stored by the id
of the channel, so it does not move: the next sync compares the new record with the hub before it writes.

Everything is decided and written in one checkpoint, so a resumed attempt starts again.
"""

from collections.abc import Sequence
from typing import Any

from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import ErrorInfo
from job_events.job_params import RepairIdsParams
from matcher.domain.mappings import Match
from matcher.domain.replacements import Replacement, find_replacements
from matcher.scope import nothing_pulled, scope_of
from matcher.store import matches, repairs
from matcher.store.repairs import CompletePull
from matcher.store.snapshots import Scope
from platforms import registry
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of
from worker.job_result import JobResult

_CATEGORY: dict[str, Any] = {"AMBIGUOUS": "CONFLICT", "CONTRADICTION": "CONFLICT", "REJECTED": "CONFLICT"}


def repair_ids(job: RunningJob) -> JobResult | None:
    """Move the links of products whose record of the channel was replaced; show only what would move in a dry run."""
    if job.cursor is not None:
        return None
    params = params_of(job, RepairIdsParams)
    scope = scope_of(job, "product", params.platform)
    job.progress("looking for replaced records")
    with job.checkpoint() as checkpoint:
        conn = checkpoint.connection
        pull = _complete_pull(checkpoint, scope)
        matches.lock(conn, scope)
        rows = matches.read_all(conn, scope)
        replaced = repairs.replaced(conn, scope)
        job.check()
        rejected = [row.pair for row in rows if row.status == "rejected"]
        former = matches.read_former(conn, scope)
        found = find_replacements(replaced, repairs.unlinked(conn, scope), rejected, former)
        job.check()
        if not params.dry_run:
            repairs.drop_settled(conn, scope, [one.link.remote_id for one in replaced])
            _write(job, checkpoint, scope, rows, found)
            refresh_statistics(conn, "match")
        for one in found:
            _record(checkpoint, scope, one, dry_run=params.dry_run)
        moved = sum(one.verdict == "moved" for one in found)
        checkpoint.counters.total = len(found)
        checkpoint.counters.count(successful=moved, skipped=len(found) - moved)
        checkpoint.counters.metadata.update(
            {
                "linksChecked": repairs.count_links(conn, scope),
                "wouldUpdate" if params.dry_run else "updated": moved,
                "review": sum(one.verdict == "review" for one in found),
                "skipped": checkpoint.counters.skipped,
                "lastCompletePull": pull.began.isoformat(),
                "catalogueAge": pull.age,
            }
        )
        checkpoint.cursor = {"step": "written"}
    return None


def _complete_pull(checkpoint: Checkpoint, scope: Scope) -> CompletePull:
    try:
        pull = repairs.complete_pull(checkpoint.connection, scope)
    except (UndefinedTable, InvalidSchemaName):
        raise nothing_pulled() from None
    if pull is None:
        title = registry.platforms()[scope.platform].title
        reason = (
            f"The products of {title} were never pulled completely, so nothing tells which records are gone; run a "
            "pull without filters first."
        )
        raise JobFailed("NOT_FOUND", "NO_COMPLETE_PULL", reason)
    return pull


def _write(
    job: RunningJob, checkpoint: Checkpoint, scope: Scope, rows: Sequence[Match], found: Sequence[Replacement]
) -> None:
    conn = checkpoint.connection
    stored = {row.pair: row for row in rows}
    for one in found:
        job.check()
        link = one.replaced.link
        if one.verdict == "moved":
            (new_id,) = one.remote_ids
            matches.delete(conn, scope, [link])
            repairs.drop_suggestions(conn, scope, link.hub_id, new_id)
            moved = Match(link.hub_id, new_id, link.status, link.method, link.score)
            matches.put(conn, scope, job.id, [moved])
        elif one.verdict == "review":
            shown = [Match(link.hub_id, new_id, "review", "sku", 0.5, one.reason) for new_id in one.remote_ids]
            matches.put(conn, scope, job.id, [row for row in shown if stored.get(row.pair) != row])


def _record(checkpoint: Checkpoint, scope: Scope, one: Replacement, *, dry_run: bool) -> None:
    link, product = one.replaced.link, one.replaced.old or one.replaced.hub
    item = f"{scope.kind}/{link.hub_id}"
    about = {"old_id": link.remote_id}
    about |= {name: text for name in ("title", "sku") if product and (text := getattr(product, name))}
    if one.verdict == "moved":
        (new_id,) = one.remote_ids
        ids = {scope.hub: link.hub_id, scope.platform: new_id}
        checkpoint.item(item, "would_update" if dry_run else "updated", ids, about=about | {"new_id": new_id})
        return
    error = ErrorInfo(_CATEGORY.get(one.code, "NOT_FOUND"), one.code, one.reason)
    ids = {scope.hub: link.hub_id, scope.platform: link.remote_id}
    if one.remote_ids:
        about["new_id"] = ", ".join(one.remote_ids)
    checkpoint.item(item, "skipped", ids, error=error, about=about)
