"""The parameters of each job type, as a request carries them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from job_events.errors import Category, InvalidRequest
from job_events.events import JobId, ShortText, Time

PlatformId = Annotated[str, Meta(min_length=1, max_length=128)]
PlatformName = Annotated[str, Meta(min_length=1, max_length=128)]
DEFAULT_CHANNEL = "shopify"
"""The channel of a request that names none."""
_SINCE = r"\A(last|\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2}))\Z"
FORMER_MATCH_NAMES = {"nhanh_id": "hub_id", "shopify_id": "remote_id"}
"""Fields of a match by the names that requests of earlier versions use, and by their names of now."""
STORED_MATCH_NAMES = {name: former for former, name in FORMER_MATCH_NAMES.items()}
"""The same for stored JSON, which keeps the former names: processes of the last release read it during an upgrade."""
MAX_CHOSEN = 5000
ChosenIds = Annotated[tuple[PlatformId, ...], Meta(max_length=MAX_CHOSEN)]
"""Ids of the hub to which a job is limited; empty = all records. One id that no shop knows fails alone."""
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


class IncrementalPullParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Read from `platform` what changed since the last pull of this kind. stock: quantities alone."""

    platform: PlatformName
    kind: Literal["products", "stock", "customers"]


class PullOrdersParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Read orders and retail bills. updated_from, updated_to: of this time span instead of since the last pull."""

    updated_from: Time | None = None
    updated_to: Time | None = None


class MatchParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Match the hub's records with those of the channel `platform`.

    Scores from 0 to 1: at `auto` and above a pair links by itself, from `review` on a person decides. since: `last`, or
    a time (RFC 3339): only what changed since the last match, or since that time where it is earlier. only: these ids
    of the hub. Both leave the result that a run of everything has.
    """

    auto: Annotated[float, Meta(ge=0, le=1)] | None = None
    review: Annotated[float, Meta(ge=0, le=1)] | None = None
    since: Annotated[str, Meta(pattern=_SINCE)] | None = None
    only: ChosenIds = ()
    platform: PlatformName = DEFAULT_CHANNEL


class ExactMatchParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Match by keys alone (SKU and barcode; phone and e-mail) with the channel `platform`."""

    platform: PlatformName = DEFAULT_CHANNEL


class RepairIdsParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Move matches whose record of the channel `platform` was replaced to the record that replaced it."""

    dry_run: bool = False
    platform: PlatformName = DEFAULT_CHANNEL


class SyncParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Write the hub's values to the channel `platform`.

    `confirm`: the plan token of a run that was stopped or held items back: exactly the changes that it showed may
    pass. `only` limits the run to these ids of the hub.
    """

    dry_run: bool = False
    confirm: PlanToken | None = None
    only: ChosenIds = ()
    platform: PlatformName = DEFAULT_CHANNEL


class AutoSyncParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Write the hub's values of all linked records to the channel `platform`, least recently synced first."""

    dry_run: bool = False
    confirm: PlanToken | None = None
    platform: PlatformName = DEFAULT_CHANNEL


class RetryFailedParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Write the items again whose last sync to the channel `platform` failed.

    job_id: those that failed in this job; category: those that failed with this error; kind: those of one kind. All
    empty means every failed item of the account.
    """

    job_id: JobId | None = None
    category: Category | None = None
    kind: Literal["product", "customer"] | None = None
    dry_run: bool = False
    confirm: PlanToken | None = None
    platform: PlatformName = DEFAULT_CHANNEL


class ReconcileParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Compare the hub with the channel `platform`, both read now; nothing is written. only: these ids of the hub."""

    only: ChosenIds = ()
    platform: PlatformName = DEFAULT_CHANNEL


class RevertParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Take back what the sync `job_id` wrote, or, of that, the items with these ids of the hub (`only`).

    The channel is that of the sync.
    """

    job_id: JobId
    dry_run: bool = False
    confirm: PlanToken | None = None
    only: ChosenIds = ()


class EditMatchParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's decision about the match of a hub record and a record of the channel `platform`.

    `correct` moves the hub record to another record of that channel.
    """

    action: Literal["create", "correct", "delete"]
    kind: Literal["product", "customer"]
    hub_id: PlatformId
    platform: PlatformName = DEFAULT_CHANNEL
    remote_id: PlatformId | None = None


class SimulateParams(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job without effects: `items` items, so many a second (0 = no pauses), of which the share `failed` fails.

    outcome: how the job ends; None = by its items.
    """

    items: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    per_second: Annotated[float, Meta(ge=0, le=100_000)] = 20.0
    failed: Annotated[float, Meta(ge=0, le=1)] = 0.0
    outcome: Literal["failure", "error"] | None = None


Params = (
    PullParams
    | IncrementalPullParams
    | PullOrdersParams
    | MatchParams
    | ExactMatchParams
    | RepairIdsParams
    | EditMatchParams
    | SyncParams
    | AutoSyncParams
    | RetryFailedParams
    | ReconcileParams
    | RevertParams
    | SimulateParams
)


def renamed_match_fields(values: Mapping[Any, Any], path: str = "") -> dict[Any, Any]:
    """The fields of a match with each former name replaced by its name of now; `path` is put before a name.

    Raises:
        InvalidRequest: a field is given by both its names.
    """
    for former, name in FORMER_MATCH_NAMES.items():
        if former in values and name in values:
            raise InvalidRequest(f"{path}{former}", f"is the former name of {name}; give one of the two")
    return {FORMER_MATCH_NAMES.get(name, name): value for name, value in values.items()}
