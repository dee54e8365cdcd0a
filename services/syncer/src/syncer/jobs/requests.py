"""What a job of each sync type is about: which kinds of records, in which order, and which of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from job_events.job_params import AutoSyncParams, RetryFailedParams, RevertParams, SyncParams
from platforms import registry
from platforms.adapter import Kind
from syncer.jobs.revert import RevertTarget
from syncer.jobs.targets import SyncTarget
from syncer.store import changes, outcomes
from syncer.store.exchanges import KEEP
from syncer.store.rows import FailedItems, Scope
from worker.errors import JobFailed
from worker.job import RunningJob, params_of

Targets = Mapping[Kind, Callable[[], SyncTarget]]
"""How to make the target of a kind of record."""
KIND_OF: Final[Mapping[str, Kind]] = {
    "PRODUCT_SYNC": "product",
    "CUSTOMER_SYNC": "customer",
    "AUTO_SYNC_PRODUCTS": "product",
    "AUTO_SYNC_CUSTOMERS": "customer",
}
JOB_TYPES: Final = (*KIND_OF, "RETRY_FAILED_SYNCS", "REVERT_SYNC")
_KINDS: Final[tuple[Kind, ...]] = ("product", "customer")


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of record of a job."""

    target: SyncTarget
    scope: Scope


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The parts of a job, which run one after the other. confirm: the plan token that it was given."""

    parts: tuple[Part, ...]
    dry_run: bool
    confirm: str | None

    @property
    def kinds(self) -> list[Kind]:
        return [part.scope.kind for part in self.parts]


def read_request(job: RunningJob, targets: Targets) -> SyncRequest:
    """What the job is about. Raises JobFailed for one that is about nothing."""
    if job.type == "REVERT_SYNC":
        return _revert(job, params_of(job, RevertParams), targets)
    if job.type == "RETRY_FAILED_SYNCS":
        return _retry(job, params_of(job, RetryFailedParams), targets)
    kind, hub = KIND_OF[job.type], registry.hub().name
    if job.type.startswith("AUTO_"):
        params = params_of(job, AutoSyncParams)
        scope = Scope(job.tenant, job.account, kind, params.platform, hub, oldest_first=True)
    else:
        params = params_of(job, SyncParams)
        scope = Scope(job.tenant, job.account, kind, params.platform, hub, _chosen(params.only))
    return SyncRequest((Part(targets[kind](), scope),), params.dry_run, params.confirm)


def _chosen(only: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(only)) or None


def _retry(job: RunningJob, params: RetryFailedParams, targets: Targets) -> SyncRequest:
    """The failed items of one kind, or of both."""
    kinds: tuple[Kind, ...] = _KINDS if params.kind is None else (params.kind,)
    failed, hub, mixed = FailedItems(params.job_id, params.category), registry.hub().name, params.kind is None
    scopes = [Scope(job.tenant, job.account, kind, params.platform, hub, failed=failed, mixed=mixed) for kind in kinds]
    if job.cursor is None:
        with job.context.pool.connection() as conn:
            count = sum(outcomes.count_failed(conn, scope) for scope in scopes)
        if count == 0 and params.job_id is None and params.category is None and params.kind is None:
            return SyncRequest((), params.dry_run, params.confirm)  # as by schedule: there is nothing to do
        if count == 0:
            raise JobFailed("VALIDATION_FAILED", "NOTHING_TO_RETRY", _nothing_to_retry(job, params))
    return SyncRequest(tuple(Part(targets[scope.kind](), scope) for scope in scopes), params.dry_run, params.confirm)


def _nothing_to_retry(job: RunningJob, params: RetryFailedParams) -> str:
    what = "item" if params.kind is None else params.kind
    category = "" if params.category is None else f" with {params.category}"
    reason = f"no {what} of account {job.account} has failed{category} in its last sync to {params.platform}"
    if params.job_id is None:
        return reason
    advice = f"a job that ended before it came to its items is repeated whole: `jobtrail jobs retry {params.job_id}`"
    return f"{reason}, or none of them in job {params.job_id}; {advice}"


def _revert(job: RunningJob, params: RevertParams, targets: Targets) -> SyncRequest:
    """The records that the sync has written. A revert writes to the channel of the job that it takes back."""
    only = _chosen(params.only)
    with job.context.pool.connection() as conn:
        found = changes.written_by_job(conn, job.tenant, job.account, params.job_id)
        known = changes.ids_of_job(conn, job.tenant, job.account, params.job_id, only or ())
    if not found:
        reason = (
            f"nothing is known of writes of job {params.job_id} in account {job.account}: it wrote nothing, was no "
            f"sync, or is older than {KEEP.days} days"
        )
        raise JobFailed("NOT_FOUND", "NOTHING_TO_REVERT", reason)
    unknown = [one for one in only or () if one not in known]
    hub, mixed = registry.hub().name, len(found) > 1
    parts = [
        Part(
            RevertTarget(targets[kind](), params.job_id, () if number else unknown),
            Scope(job.tenant, job.account, kind, platform, hub, only, mixed=mixed),
        )
        for number, (kind, platform) in enumerate(found)
    ]
    return SyncRequest(tuple(parts), params.dry_run, params.confirm)
