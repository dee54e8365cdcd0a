"""The job types: which service runs each, what parameters it takes, and how the worker runs it.

The tracker stores jobs of any type; this list decides what the API accepts and what a worker runs.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, Literal

import msgspec

from job_events.errors import InvalidRequest
from job_events.events import EVENT_TYPES, Priority
from job_events.job_params import (
    FORMER_MATCH_NAMES,
    AutoSyncParams,
    EditMatchParams,
    ExactMatchParams,
    IncrementalPullParams,
    MatchParams,
    Params,
    PullOrdersParams,
    PullParams,
    ReconcileParams,
    RepairIdsParams,
    RetryFailedParams,
    RevertParams,
    SimulateParams,
    SyncParams,
    renamed_match_fields,
)
from job_events.strict import read_strictly

PLATFORM_GROUP = "jobtrail.platforms"
"""The entry points by which packages register platforms; here only their names are read."""
PLATFORMS: tuple[str, ...] = tuple(sorted({point.name for point in entry_points(group=PLATFORM_GROUP)}))


@dataclass(frozen=True, slots=True)
class Policy:
    """How a worker runs the jobs of a type.

    attempts: in a row that crash or are refused without a step of the checkpoint; then the job ends as error.
    deadline: running time of all attempts, after which the job's own worker ends it as timeout; None = none.
    concurrency: from the parameters, what jobs of one account exclude each other by: at most `limit` of one key run at
    a time. None = the job type.
    retry_timeout: how long a job waits for a platform, a limit or a lock without any progress before the error that
    makes it wait ends it. longest_backoff: between two attempts meanwhile, unless the platform names a time.
    ageing: a queued job rises by one priority each time it has waited so long.
    """

    attempts: int = 5
    deadline: timedelta | None = timedelta(days=1)
    concurrency: Callable[[Any], str] | None = None
    limit: int = 1
    retry_timeout: timedelta = timedelta(minutes=30)
    longest_backoff: timedelta = timedelta(minutes=1)
    ageing: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class JobType:
    """One kind of job. `service` owns it and reads it from its own request topic.

    platform, kind: which records of which platform a pull reads; None for all other jobs.
    any_account: it runs for an account name that no shop is connected to, too.
    """

    name: str
    service: Literal["puller", "matcher", "syncer"]
    params: type[Params]
    summary: str
    platform: str | None = None
    kind: Literal["product", "customer"] | None = None
    policy: Policy = Policy()
    any_account: bool = False


_PULLED: dict[Literal["product", "customer"], str] = {"product": "products and stock", "customer": "customers"}


def _pulls(platform: str) -> tuple[JobType, ...]:
    prefix = f"PULL_{platform.replace('-', '_').upper()}"
    title = platform.replace("-", " ").title()
    return tuple(
        JobType(
            f"{prefix}_{kind.upper()}S",
            "puller",
            PullParams,
            f"Read all {what} from {title}",
            platform,
            kind,
            _same_key(f"pull {platform} {kind}s"),
        )
        for kind, what in _PULLED.items()
    )


def _pull_key(params: IncrementalPullParams) -> str:
    """The key of the full pull, too: a page that was read earlier must not be written over a newer one."""
    return f"pull {params.platform} {'customers' if params.kind == 'customers' else 'products'}"


def _same_key(key: str) -> Policy:
    return Policy(concurrency=lambda _: key)


def _by_channel(what: str) -> Policy:
    return Policy(concurrency=lambda params: f"{what} {params.platform}")


def _write(kind: str) -> Policy:
    """A sync of one chosen record does not wait for one of all: two jobs never write one item at the same time."""

    def key(params: SyncParams | AutoSyncParams) -> str:
        only = params.only if isinstance(params, SyncParams) else ()
        return f"write {kind} {params.platform}" + (f" {only[0]}" if len(only) == 1 else "")

    return Policy(concurrency=key)


def _simulation(name: str, service: Literal["puller", "matcher", "syncer"]) -> JobType:
    summary = f"Run a job of the {service} without effects"
    return JobType(name, service, SimulateParams, summary, policy=Policy(limit=20), any_account=True)


JOB_TYPES: dict[str, JobType] = {
    job_type.name: job_type
    for job_type in (
        *(pull for platform in PLATFORMS for pull in _pulls(platform)),
        JobType(
            "INCREMENTAL_PULL",
            "puller",
            IncrementalPullParams,
            "Read what changed since the last pull",
            policy=Policy(concurrency=_pull_key),
        ),
        JobType("PULL_NHANH_ORDERS", "puller", PullOrdersParams, "Read orders and retail bills from Nhanh"),
        JobType(
            "AUTO_MATCH_PRODUCTS",
            "matcher",
            MatchParams,
            "Find which products are the same thing",
            policy=_by_channel("match products"),
        ),
        JobType(
            "AUTO_MATCH_CUSTOMERS",
            "matcher",
            MatchParams,
            "Find which customers are the same person",
            policy=_by_channel("match customers"),
        ),
        JobType(
            "MATCH_EXACT_PRODUCTS",
            "matcher",
            ExactMatchParams,
            "Match products by SKU and barcode",
            policy=_by_channel("match products"),
        ),
        JobType(
            "MATCH_EXACT_CUSTOMERS",
            "matcher",
            ExactMatchParams,
            "Match customers by phone and e-mail",
            policy=_by_channel("match customers"),
        ),
        JobType("REPAIR_IDS", "matcher", RepairIdsParams, "Move matches to the variants that replaced theirs"),
        JobType("EDIT_MATCH", "matcher", EditMatchParams, "Create, correct or delete one match"),
        JobType(
            "PRODUCT_SYNC",
            "syncer",
            SyncParams,
            "Write the hub's stock and prices to a channel",
            policy=_write("products"),
        ),
        JobType(
            "CUSTOMER_SYNC",
            "syncer",
            SyncParams,
            "Write the hub's customer fields to a channel",
            policy=_write("customers"),
        ),
        JobType(
            "AUTO_SYNC_PRODUCTS",
            "syncer",
            AutoSyncParams,
            "Sync all linked products to a channel",
            policy=_write("products"),
        ),
        JobType(
            "AUTO_SYNC_CUSTOMERS",
            "syncer",
            AutoSyncParams,
            "Sync all linked customers to a channel",
            policy=_write("customers"),
        ),
        JobType("RETRY_FAILED_SYNCS", "syncer", RetryFailedParams, "Write items again whose sync failed"),
        JobType(
            "RECONCILE_PRODUCTS", "syncer", ReconcileParams, "List every difference of stock and price, write nothing"
        ),
        JobType("REVERT_SYNC", "syncer", RevertParams, "Take back what a sync wrote"),
        _simulation("SIMULATE_PULL", "puller"),
        _simulation("SIMULATE_MATCH", "matcher"),
        _simulation("SIMULATE_SYNC", "syncer"),
    )
}


def job_type(name: str) -> JobType:
    """Look a type up.

    Raises:
        InvalidRequest: no service runs such a job.
    """
    found = JOB_TYPES.get(name)
    if found is None:
        raise InvalidRequest("type", f"unknown job type {name[:100]!r}; known are {', '.join(JOB_TYPES)}")
    return found


def read_params(type_name: str, params: object) -> Params:
    """Check and read the parameters of a job type.

    Raises:
        InvalidRequest: unknown type, or a parameter that is missing, unknown or out of range.
    """
    kind = job_type(type_name)
    if isinstance(params, dict) and params.get("confirm") is True:
        reason = "takes the plan token that a stopped run handed out (planToken in the job's metadata), not true"
        raise InvalidRequest("params.confirm", reason)
    if kind.params is EditMatchParams and isinstance(params, dict):
        params = renamed_match_fields(params, "params.")
    read = read_strictly(params, kind.params, "params")
    if isinstance(read, EditMatchParams) and read.action != "delete" and read.remote_id is None:
        raise InvalidRequest("params.remote_id", f"is needed to {read.action} a match")
    return read


def concurrency_key(type_name: str, params: object) -> str:
    """What jobs of one account exclude each other by; the type where this version cannot read the request."""
    try:
        read = read_params(type_name, params)
    except InvalidRequest:
        return type_name
    concurrency = JOB_TYPES[type_name].policy.concurrency
    return type_name if concurrency is None else concurrency(read)


def default_priority(type_name: str, params: object) -> Priority:
    """The priority of a request that names none: a job for one chosen record goes first."""
    try:
        read = read_params(type_name, params)
    except InvalidRequest:
        return "normal"
    return "high" if len(getattr(read, "only", ())) == 1 else "normal"


def unknown_here(type_name: str, params: Mapping[str, object]) -> str | None:
    """Why this version cannot read a request that a newer one may have accepted; None where it can.

    A parameter out of range is no sign of a newer version: `read_params` refuses it.
    """
    kind = JOB_TYPES.get(type_name)
    if kind is None:
        return f"this version does not know the job type {type_name[:100]!r}"
    former = FORMER_MATCH_NAMES if kind.params is EditMatchParams else {}
    unknown = sorted(set(params) - set(kind.params.__struct_fields__) - set(former))
    if unknown:
        return f"this version does not know the parameter {unknown[0][:100]!r} of {type_name}"
    return None


def contract_version() -> str:
    """Differs between two versions that do not know the same event types, job types and parameters."""
    known = {name: (kind.service, msgspec.json.schema(kind.params)) for name, kind in JOB_TYPES.items()}
    content = msgspec.json.encode([sorted(EVENT_TYPES), known], order="sorted")
    return hashlib.sha256(content).hexdigest()[:16]
