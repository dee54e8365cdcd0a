"""The job types: which service runs each, what parameters it takes, and the chains people start.

The tracker stores jobs of any type; this list decides what the API accepts and what a worker runs.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from job_events.errors import InvalidRequest
from job_events.events import EVENT_TYPES, JobId, ShortText, Then
from job_events.strict import read_strictly

PlatformId = Annotated[str, Meta(min_length=1, max_length=128)]
PlatformName = Annotated[str, Meta(min_length=1, max_length=128)]
DEFAULT_CHANNEL = "shopify"
"""The channel of a request that names none."""
FORMER_MATCH_NAMES = {"nhanh_id": "hub_id", "shopify_id": "remote_id"}
"""Fields of a match by the names that requests of earlier versions use, and by their names of now."""
STORED_MATCH_NAMES = {name: former for former, name in FORMER_MATCH_NAMES.items()}
"""The same for stored JSON, which keeps the former names: processes of the last release read it during an upgrade."""
PlanToken = Annotated[str, Meta(min_length=1, max_length=128)]
"""What a stopped or held run hands out (metadata `planToken`): it stands for exactly the changes that were shown."""


class PullParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`filters` go to Nhanh as they are, `query` to Shopify's search; both empty means everything.

    `confirm`: the plan token of a pull that CHANGE_TOO_LARGE stopped; the records that it named may be marked as gone.
    """

    filters: dict[str, Any] | None = None
    query: ShortText | None = None
    page_size: Annotated[int, Meta(ge=1, le=250)] | None = None
    confirm: PlanToken | None = None


class MatchParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Match the hub's records with those of the channel `platform`.

    Scores from 0 to 1: at `auto` and above a pair links by itself, from `review` on a person decides.
    """

    auto: Annotated[float, Meta(ge=0, le=1)] | None = None
    review: Annotated[float, Meta(ge=0, le=1)] | None = None
    platform: PlatformName = DEFAULT_CHANNEL


class SyncParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Write the hub's values to the channel `platform`.

    `confirm`: the plan token of a run that was stopped or held items back: exactly the changes that it showed may
    pass. `only` limits the run to these ids of the hub.
    """

    dry_run: bool = False
    confirm: PlanToken | None = None
    only: Annotated[tuple[PlatformId, ...], Meta(max_length=1000)] = ()
    platform: PlatformName = DEFAULT_CHANNEL


class RevertParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Take back what the sync `job_id` wrote, or, of that, the items with these ids of the hub (`only`).

    The channel is that of the sync.
    """

    job_id: JobId
    dry_run: bool = False
    confirm: PlanToken | None = None
    only: Annotated[tuple[PlatformId, ...], Meta(max_length=1000)] = ()


class EditMatchParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's decision about the match of a hub record and a record of the channel `platform`.

    `correct` moves the hub record to another record of that channel.
    """

    action: Literal["create", "correct", "delete"]
    kind: Literal["product", "customer"]
    hub_id: PlatformId
    platform: PlatformName = DEFAULT_CHANNEL
    remote_id: PlatformId | None = None


Params = PullParams | MatchParams | SyncParams | RevertParams | EditMatchParams


@dataclass(frozen=True, slots=True)
class JobType:
    """One kind of job. `service` owns it and reads it from its own request topic.

    platform, kind: which records of which platform a pull reads; None for all other jobs.
    """

    name: str
    service: Literal["puller", "matcher", "syncer"]
    params: type[Params]
    summary: str
    platform: str | None = None
    kind: Literal["product", "customer"] | None = None


PLATFORM_GROUP = "jobtrail.platforms"
"""The entry points by which packages register platforms; here only their names are read."""
PLATFORMS: tuple[str, ...] = tuple(sorted({point.name for point in entry_points(group=PLATFORM_GROUP)}))


def _pulls(platform: str) -> tuple[JobType, ...]:
    prefix = f"PULL_{platform.replace('-', '_').upper()}"
    title = platform.replace("-", " ").title()
    products, customers = "Read all products and stock from", "Read all customers from"
    return (
        JobType(f"{prefix}_PRODUCTS", "puller", PullParams, f"{products} {title}", platform, "product"),
        JobType(f"{prefix}_CUSTOMERS", "puller", PullParams, f"{customers} {title}", platform, "customer"),
    )


JOB_TYPES: dict[str, JobType] = {
    job_type.name: job_type
    for job_type in (
        *(pull for platform in PLATFORMS for pull in _pulls(platform)),
        JobType("AUTO_MATCH_PRODUCTS", "matcher", MatchParams, "Find which products are the same thing"),
        JobType("AUTO_MATCH_CUSTOMERS", "matcher", MatchParams, "Find which customers are the same person"),
        JobType("EDIT_MATCH", "matcher", EditMatchParams, "Create, correct or delete one match"),
        JobType("PRODUCT_SYNC", "syncer", SyncParams, "Write the hub's stock and prices to a channel"),
        JobType("CUSTOMER_SYNC", "syncer", SyncParams, "Write the hub's customer fields to a channel"),
        JobType("REVERT_SYNC", "syncer", RevertParams, "Take back what a sync wrote"),
    )
}


@dataclass(frozen=True, slots=True)
class Chain:
    """Jobs that start together under one chain id, and what follows them."""

    first: tuple[str, ...]
    then: tuple[Then, ...]


def _chain(pulls: tuple[str, ...], match: str, sync: str) -> Chain:
    return Chain(pulls, (Then(match, needs=pulls, then=(Then(sync, needs=(match,)),)),))


CHAINS: dict[str, Chain] = {
    "products": _chain(("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"), "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"),
    "customers": _chain(("PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_CUSTOMERS"), "AUTO_MATCH_CUSTOMERS", "CUSTOMER_SYNC"),
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


def renamed_match_fields(values: Mapping[Any, Any], path: str = "") -> dict[Any, Any]:
    """The fields of a match with each former name replaced by its name of now; `path` is put before a name.

    Raises:
        InvalidRequest: a field is given by both its names.
    """
    for former, name in FORMER_MATCH_NAMES.items():
        if former in values and name in values:
            raise InvalidRequest(f"{path}{former}", f"is the former name of {name}; give one of the two")
    return {FORMER_MATCH_NAMES.get(name, name): value for name, value in values.items()}


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


MAX_LEVELS = 8
MAX_STEPS = 20
"""Steps in one `then`, and job types in one `needs`."""
MAX_STEPS_IN_ALL = 100
MAX_THEN_BYTES = 262_144
"""As JSON. Every event of a chain's jobs repeats what follows, and the largest message of a topic is 2 MiB."""


def check_then(then: tuple[Then, ...], parent: str, *, newer_allowed: bool = False) -> None:
    """Check every step of a chain before its first job, of type `parent`, runs.

    A step may need more than the job that it follows: jobs that start together under one chain id name each other.
    Whether those will ever be asked for, nobody knows yet. `newer_allowed`: types and parameters that this version does
    not know pass, because the service that runs the step may know them by then.

    Raises:
        InvalidRequest: an unknown type, bad parameters, a step that does not need the job that it follows, two steps
            that would be one job, or more than MAX_LEVELS, MAX_STEPS, MAX_STEPS_IN_ALL or MAX_THEN_BYTES.
    """
    _check_steps(then, parent, "then", 0, newer_allowed=newer_allowed)
    size = len(msgspec.json.encode(then))
    if size > MAX_THEN_BYTES:
        raise InvalidRequest("then", f"has {size:,} bytes as JSON; at most {MAX_THEN_BYTES:,} are possible")


def _check_steps(then: tuple[Then, ...], parent: str, path: str, level: int, *, newer_allowed: bool) -> int:
    if then and level >= MAX_LEVELS:
        raise InvalidRequest(path, f"more than {MAX_LEVELS} steps follow each other")
    if len(then) > MAX_STEPS:
        raise InvalidRequest(path, f"holds {len(then)} steps; at most {MAX_STEPS} may follow one job")
    total = len(then)
    seen: set[tuple[str, frozenset[str]]] = set()
    for index, step in enumerate(then):
        here = f"{path}[{index}]"
        _check_step(step, parent, here, newer_allowed=newer_allowed)
        if (step.type, frozenset(step.needs)) in seen:
            raise InvalidRequest(f"{here}.type", f"another {step.type} follows the same jobs; the two would be one job")
        seen.add((step.type, frozenset(step.needs)))
        total += _check_steps(step.then, step.type, f"{here}.then", level + 1, newer_allowed=newer_allowed)
        if total > MAX_STEPS_IN_ALL:
            reason = f"with this step {total} follow the first job; at most {MAX_STEPS_IN_ALL} are possible"
            raise InvalidRequest(here, reason)
    return total


def _check_step(step: Then, parent: str, here: str, *, newer_allowed: bool) -> None:
    if not (newer_allowed and unknown_here(step.type, step.params)):
        try:
            read_params(step.type, step.params)
        except InvalidRequest as error:
            raise InvalidRequest(f"{here}.{error.field}", error.reason) from None
    if len(step.needs) > MAX_STEPS:
        raise InvalidRequest(f"{here}.needs", f"names {len(step.needs)} jobs; at most {MAX_STEPS} are possible")
    for need in step.needs:
        if need not in JOB_TYPES and not newer_allowed:
            raise InvalidRequest(f"{here}.needs", f"unknown job type {need[:100]!r}")
    if parent not in step.needs:
        raise InvalidRequest(f"{here}.needs", f"does not name {parent}, which this step follows")
