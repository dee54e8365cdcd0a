"""The addresses at which users of the earlier system start jobs: one table, each an alias of `POST /jobs`.

A body may hold what the earlier system took there, and `tenant` and `account`; nothing else. The table is
repeated in docs/howto/earlier-routes.md, and a test compares the two.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import AfterValidator, ConfigDict, Field, PositiveInt
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from job_events.events import JobInfo, RequestedData
from job_events.job_params import MAX_CHOSEN
from job_events.job_types import JOB_TYPES, default_priority
from job_events.request_checks import check_params
from job_tracker.api.deps import Parts, PartsNow
from job_tracker.api.job_requests import Actor, Key, Name, Row, StrictBody, accepted, check_account, request_once
from job_tracker.api.tenancy import scope_condition, scope_values
from job_tracker.errors import Problem
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
_NAMED = 20  # accounts that a refusal names
_ANSWER = {
    "type": "object",
    "required": ["success", "jobId", "message"],
    "properties": {
        "success": {"const": True},
        "jobId": {"type": "string", "description": "for GET /jobs/{job_id}"},
        "message": {"type": "string"},
    },
}
REQUESTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The job is requested", "content": {"application/json": {"schema": _ANSWER}}}
}
"""For the OpenAPI document: the answer to a request of the earlier system."""
router = APIRouter(tags=["earlier system"])


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Of a field that the earlier system took: why it changes nothing. The answer says so, too."""

    reason: str


_RESTART = NoEffect("each pull begins at the first page")
_FORCE = NoEffect("a sync writes every value that differs")
_SIZE = NoEffect("batches have a size of their own")
_LIMIT = NoEffect("the job takes all records, least recently synced first")
_ALL_FAILED = NoEffect("the job takes all failed items")
_CACHE = NoEffect("no answer is kept")


class EarlierFields(StrictBody):
    """Fields by the names of the earlier system."""

    model_config = ConfigDict(alias_generator=to_camel)


class AccountBody(EarlierFields):
    """The account; it can be left out where there is only one, and so can its tenant."""

    tenant: Name | None = None
    account: Name | None = None

    def params(self) -> Row:
        """The parameters of the job."""
        return {}


class PullCustomersBody(AccountBody):
    """Which customers of Nhanh; type: 1 retail, 2 wholesale, 3 agent."""

    type: Annotated[int, Field(ge=1, le=3)] | None = None
    last_bought_date_from: date | None = None
    last_bought_date_to: date | None = None
    force_restart: Annotated[bool | None, _RESTART] = None

    def params(self) -> Row:
        names = {"type", "last_bought_date_from", "last_bought_date_to"}
        filters = self.model_dump(mode="json", by_alias=True, include=names, exclude_none=True)
        return {"filters": filters} if filters else {}


class PullShopProductsBody(AccountBody):
    """Which products of Shopify; all if it is left out."""

    status: Literal["active", "draft", "archived"] | None = None

    def params(self) -> Row:
        return {"query": f"status:{self.status}"} if self.status else {}


class PullShopCustomersBody(AccountBody):
    """Which customers of Shopify, in its search syntax; all if it is left out."""

    query: Annotated[str, Field(max_length=512)] | None = None
    force_restart: Annotated[bool | None, _RESTART] = None

    def params(self) -> Row:
        return {"query": self.query} if self.query else {}


class ChosenBody(AccountBody):
    """The mappings to sync, by the ids of their records in Nhanh; all linked records if it is left out."""

    # Not empty: for the job an empty list means all.
    mapping_ids: Annotated[list[Name], Field(min_length=1, max_length=MAX_CHOSEN)] | None = None

    def params(self) -> Row:
        return {"only": list(dict.fromkeys(self.mapping_ids))} if self.mapping_ids else {}


class ChosenCustomersBody(ChosenBody):
    """As for products."""

    force_sync: Annotated[bool | None, _FORCE] = None


class OneBody(AccountBody):
    """The mapping to sync, by the id of its record in Nhanh."""

    mapping_id: Name

    def params(self) -> Row:
        return {"only": [self.mapping_id]}


class OneCustomerBody(OneBody):
    """As for a product."""

    force_sync: Annotated[bool | None, _FORCE] = None


def _not_dry(value: bool | None) -> bool | None:
    if value:
        raise PydanticCustomError("dry_run", "is not possible: a match links records and writes to no shop")
    return value


class AutoMatchBody(AccountBody):
    """A match has no dry run: `dryRun` may be false only."""

    dry_run: Annotated[bool | None, AfterValidator(_not_dry)] = None


class AutoMatchInBatchesBody(AutoMatchBody):
    """As for other matches."""

    batch_size: Annotated[PositiveInt | None, _SIZE] = None


class RetryFailedBody(AccountBody):
    """All failed items of customers and of products."""

    limit: Annotated[PositiveInt | None, _ALL_FAILED] = None


class NoOptions(EarlierFields):
    """No parameters in the query."""


class Uncached(EarlierFields):
    """What the earlier client added against caches."""

    t: Annotated[str | None, _CACHE] = None


class AutoSyncOptions(EarlierFields):
    """What the earlier system took in the query."""

    limit: Annotated[PositiveInt | None, _LIMIT] = None


class AutoSyncCustomersOptions(AutoSyncOptions):
    """As for products."""

    force_sync: Annotated[bool | None, _FORCE] = None


@dataclass(frozen=True, slots=True)
class EarlierRoute:
    """An address of the earlier system, and the job that a POST to it requests.

    body, options: what its body and its query may hold. fixed: parameters of the job that no caller chooses.
    """

    path: str
    job_type: str
    body: type[AccountBody] = AccountBody
    options: type[EarlierFields] = NoOptions
    fixed: Row = field(default_factory=dict[str, Any])


EARLIER_ROUTES = (
    EarlierRoute("/api/nhanh/pull-products", "PULL_NHANH_PRODUCTS"),
    EarlierRoute("/api/nhanh/pull-customers-all", "PULL_NHANH_CUSTOMERS", PullCustomersBody),
    EarlierRoute(
        "/api/nhanh/pull-customers-incremental",
        "INCREMENTAL_PULL",
        fixed={"platform": "nhanh", "kind": "customers"},
    ),
    EarlierRoute("/api/shopify/pull-products-sync", "PULL_SHOPIFY_PRODUCTS", PullShopProductsBody, Uncached),
    EarlierRoute("/api/shopify/pull-customers", "PULL_SHOPIFY_CUSTOMERS", PullShopCustomersBody),
    EarlierRoute("/api/sync/bulk-sync-products", "PRODUCT_SYNC", ChosenBody),
    EarlierRoute("/api/sync/bulk-sync-background", "CUSTOMER_SYNC", ChosenCustomersBody),
    EarlierRoute("/api/sync/bulk-sync", "CUSTOMER_SYNC", ChosenCustomersBody),
    EarlierRoute("/api/sync/auto-match-products", "AUTO_MATCH_PRODUCTS", AutoMatchBody),
    EarlierRoute("/api/sync/auto-match", "AUTO_MATCH_CUSTOMERS", AutoMatchBody),
    EarlierRoute("/api/sync/auto-match-sql", "MATCH_EXACT_CUSTOMERS", AutoMatchBody),
    EarlierRoute("/api/sync/auto-match-batch", "AUTO_MATCH_CUSTOMERS", AutoMatchInBatchesBody),
    EarlierRoute("/api/sync/retry-failed", "RETRY_FAILED_SYNCS", RetryFailedBody),
    EarlierRoute("/api/sync/auto-sync", "AUTO_SYNC_CUSTOMERS", options=AutoSyncCustomersOptions),
    EarlierRoute("/api/sync/products/auto-sync", "AUTO_SYNC_PRODUCTS", options=AutoSyncOptions),
    EarlierRoute("/api/sync/sync-product", "PRODUCT_SYNC", OneBody),
    EarlierRoute("/api/sync/sync-customer", "CUSTOMER_SYNC", OneCustomerBody, Uncached),
    EarlierRoute("/api/sync/fix-variant-ids", "REPAIR_IDS"),
)


def _endpoint(route: EarlierRoute) -> Callable[..., Awaitable[Response]]:
    # A body that has a required field is required; `check_input` has refused unknown parameters before.
    required = any(one.is_required() for one in route.body.model_fields.values())

    async def request(*, parts: PartsNow, body: Any, options: Any, actor: Actor = "api", key: Key = None) -> Response:
        given: AccountBody = body if body is not None else route.body()
        return await request_of_account(
            parts,
            given,
            route.job_type,
            {**route.fixed, **given.params()},
            actor=actor,
            key=key,
            notes=[*no_effects(given), *no_effects(options)],
        )

    request.__annotations__ |= {
        "body": route.body if required else route.body | None,
        "options": Annotated[route.options, Query()],
    }
    if not required:
        request.__kwdefaults__ = {**(request.__kwdefaults__ or {}), "body": None}
    request.__doc__ = f"{JOB_TYPES[route.job_type].summary}: requests a {route.job_type}. {route.body.__doc__}"
    return request


for _route in EARLIER_ROUTES:
    router.add_api_route(
        _route.path,
        _endpoint(_route),
        methods=["POST"],
        responses=REQUESTED,
        name=_route.path.removeprefix("/api/").replace("/", " "),
    )


async def request_of_account(
    parts: Parts, body: AccountBody, job_type: str, params: Row, *, actor: str, key: str | None, notes: list[str]
) -> Response:
    """Request a job of the account that `body` names, or of the only one. `notes` are added to the message.

    Raises:
        Problem: as `POST /jobs`, and 422 where it is not clear which account is meant.
    """
    tenant, account = await _account(parts, body)
    check_params(job_type, params)
    job = JobInfo(job_type, account)
    await check_account(parts, tenant, job)
    data = RequestedData(params=params, priority=default_priority(job_type, params), requested_by=actor, job=job)
    asked = {"type": job_type, "account": account, "params": params}
    made, replayed = await request_once(parts, tenant, data, key=key, asked=asked)
    job_id = made.identity.job_id
    message = " ".join([f"{job_type} of {account} is requested; its progress: GET /jobs/{job_id}.", *notes])
    answer = {"success": True, "jobId": job_id, "message": message}
    return accepted(answer, status=200, token=made.token, replayed=replayed)


async def _account(parts: Parts, body: AccountBody) -> tuple[str, str]:
    """The tenant and the account that are meant."""
    if body.tenant is not None and body.account is not None:
        return body.tenant, body.account
    asked = {"tenant": body.tenant, "account": body.account, "most": _NAMED + 1}
    statement = _SQL["accounts_named"].format(scope=scope_condition(parts.scope))
    async with parts.reader.snapshot() as connection:
        rows = await (await connection.execute(statement, asked | scope_values(parts.scope))).fetchall()
    if len(rows) == 1:
        return rows[0]["tenant"], rows[0]["account"]
    field = "tenant" if len({row["tenant"] for row in rows}) > 1 else "account"
    if not rows:
        reason = (
            f"there is no such account: {body.account!r}" if body.account is not None else "there is no account yet"
        )
        field = "tenant" if body.tenant is not None and body.account is None else "account"
        raise Problem(422, f"{field}: {reason}", [(field, reason)])
    names = dict.fromkeys(row[field] for row in rows)
    reason = f"is needed: there are {', '.join(list(names)[:_NAMED])}{' and more' if len(rows) > _NAMED else ''}"
    raise Problem(422, f"{field} {reason}", [(field, reason)])


def no_effects(given: EarlierFields) -> list[str]:
    """A sentence for each field that is given and changes nothing."""
    return [
        f"{one.alias} has no effect: {why.reason}."
        for name, one in type(given).model_fields.items()
        for why in one.metadata
        if isinstance(why, NoEffect) and getattr(given, name) is not None
    ]
