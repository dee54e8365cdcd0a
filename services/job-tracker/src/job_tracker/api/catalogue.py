"""What other services publish through views: products, customers, orders, matches, accounts, queues."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal, LiteralString

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import sql
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from job_events.job_params import FORMER_MATCH_NAMES, renamed_match_fields
from job_events.job_types import PLATFORMS
from job_events.topics import SERVICES
from job_tracker.api.deps import (
    Account,
    Cursor,
    Limit,
    NoWait,
    NoWaitForQueues,
    Parts,
    PartsNow,
    Tenant,
    Text,
    list_query,
)
from job_tracker.api.freshness import AsyncConnection, WaitFor
from job_tracker.api.list_statements import Listing, ListQuery, Statement, list_statements_of
from job_tracker.api.listing import exists, has_column, page
from job_tracker.api.tenancy import CallerScope, scope_condition, scope_values
from job_tracker.api.waiting import waiting_at
from job_tracker.domain.list_plans import IndexedFilter
from job_tracker.domain.scope import Scope
from platforms import registry
from service_kit.sql_files import queries

_QUEUES = queries("job_tracker.store", "queues.sql")
_READS = queries("job_tracker.store", "reads.sql")
Row = dict[str, Any]
AT_ONCE = WaitFor({}, 0)


def _registered(platform: str) -> str:
    if platform not in PLATFORMS:
        raise PydanticCustomError("platform", "must be one of {known}", {"known": ", ".join(PLATFORMS)})
    return platform


Platform = Annotated[str, AfterValidator(_registered), Query(json_schema_extra={"enum": list(PLATFORMS)})]


def _along(index: str, *columns: str) -> tuple[IndexedFilter, ...]:
    """Lists that filter by none, one or more of the first columns of their own key."""
    return tuple(IndexedFilter(columns[:fixed], index) for fixed in range(len(columns) + 1))


PRODUCTS = Listing(
    source=("puller", "api_products"),
    key=("tenant", "account", "platform", "product_id", "variant_id"),
    key_types=(str, str, str, str, str),
    served=_along("variant_product", "tenant", "account", "platform"),
    filters=("tenant", "account", "platform"),
    search=("title", "variant_title", "brand", "model", "sku", "barcode", "product_id", "variant_id"),
    search_view=("puller", "api_product_search"),
    search_index=("puller", "variant_search"),
)
CUSTOMERS = Listing(
    source=("puller", "api_customers"),
    key=("tenant", "account", "platform", "customer_id"),
    key_types=(str, str, str, str),
    served=_along("customer_listed", "tenant", "account", "platform"),
    filters=("tenant", "account", "platform"),
    search=("name", "phone", "email", "customer_id", "city"),
    search_view=("puller", "api_customer_search"),
    search_index=("puller", "customer_search"),
)
ORDERS = Listing(
    source=("puller", "api_orders"),
    key=("tenant", "account", "platform", "kind", "document_id"),
    key_types=(str, str, str, str, str),
    served=_along("sales_document_pkey", "tenant", "account", "platform", "kind"),
    filters=("tenant", "account", "platform", "kind", "status_word", "channel_word", "customer_id"),
    search=("document_id", "order_id", "customer_id"),
)
MATCHES = Listing(
    source=("matcher", "api_matches"),
    key=("tenant", "account", "kind", "platform", "hub_id", "remote_id"),
    key_types=(str, str, str, str, str, str),
    served=(
        *_along("match_pkey", "tenant", "account", "kind", "platform"),
        IndexedFilter(("tenant", "account", "kind", "hub_id"), "match_by_hub", few=True),
        IndexedFilter(("tenant", "account", "kind", "platform", "hub_id"), "match_pkey"),
        IndexedFilter(("tenant", "account", "kind", "remote_id"), "match_by_remote", few=True),
        IndexedFilter(("tenant", "account", "kind", "platform", "remote_id"), "match_by_remote", few=True),
    ),
    filters=("tenant", "account", "kind", "platform", "status", "method", "hub_id", "remote_id"),
    search=("platform", "hub_id", "remote_id", "method", "status"),
)
ACCOUNTS = Listing(
    source=("accounts", "api_accounts"),
    key=("tenant", "account"),
    key_types=(str, str),
    served=_along("account_pkey", "tenant", "account"),
    filters=("tenant", "account"),
    search=("tenant", "account"),
)
router = APIRouter(tags=["catalogue"])


async def _records(
    *,
    scope: CallerScope,
    tenant: Tenant = None,
    account: Account = None,
    platform: Platform | None = None,
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ListQuery:
    """The query parameters of lists of platform records."""
    return list_query(scope, {"tenant": tenant, "account": account, "platform": platform}, text, cursor, limit)


@router.get("/products")
async def list_products(*, parts: PartsNow, _: NoWait, records: Annotated[ListQuery, Depends(_records)]) -> Response:
    """Product variants as the platforms have them."""
    return await _list(parts, PRODUCTS, records, "products", total=service_total("puller", records, "product"))


@router.get("/customers")
async def list_customers(*, parts: PartsNow, _: NoWait, records: Annotated[ListQuery, Depends(_records)]) -> Response:
    """Customers as the platforms have them."""
    return await _list(parts, CUSTOMERS, records, "customers", total=service_total("puller", records, "customer"))


@router.get("/orders")
async def list_orders(
    *,
    parts: PartsNow,
    _: NoWait,
    tenant: Tenant = None,
    account: Account = None,
    platform: Platform | None = None,
    kind: Annotated[Literal["order", "bill"] | None, Query(description="bill: a retail bill without an order")] = None,
    status: Annotated[str | None, Query(description="by its word, as in `status_word`")] = None,
    channel: Annotated[str | None, Query(description="by its word, as in `channel_word`")] = None,
    customer_id: str | None = None,
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Sales: orders, and retail bills that belong to no order. One with `deleted_at` is none any more."""
    filters: dict[str, str | list[str] | None] = {
        "tenant": tenant,
        "account": account,
        "platform": platform,
        "kind": kind,
        "status_word": status,
        "channel_word": channel,
        "customer_id": customer_id,
    }
    return await _list(parts, ORDERS, list_query(parts.scope, filters, text, cursor, limit), "orders")


@router.get("/matches")
async def list_matches(
    *,
    parts: PartsNow,
    _: NoWait,
    tenant: Tenant = None,
    account: Account = None,
    kind: Literal["product", "customer"] | None = None,
    status: Literal["auto", "review", "confirmed", "rejected"] | None = None,
    method: str | None = None,
    hub_id: str | None = None,
    platform: str | None = None,
    remote_id: str | None = None,
    nhanh_id: Annotated[str | None, Query(deprecated=True, description="former name of hub_id")] = None,
    shopify_id: Annotated[str | None, Query(deprecated=True, description="former name of remote_id")] = None,
    names: Annotated[bool, Query(description="add the title and SKU of both records, or the customer's name")] = False,
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Which record of the hub is which record of a channel, and how that is known."""
    given = {"hub_id": hub_id, "remote_id": remote_id, "nhanh_id": nhanh_id, "shopify_id": shopify_id}
    ids = {name: value for name, value in given.items() if value is not None}
    filters: dict[str, str | list[str] | None] = {
        "tenant": tenant,
        "account": account,
        "kind": kind,
        "status": status,
        "method": method,
        "platform": platform,
        **renamed_match_fields(ids),
    }
    request = list_query(parts.scope, filters, text, cursor, limit)
    return await _list(
        parts,
        MATCHES,
        request,
        "matches",
        show=shown_match,
        total=service_total("matcher", request),
        add=_add_names if names else None,
        needs="hub_id",
    )


@router.get("/accounts")
async def list_accounts(
    *,
    parts: PartsNow,
    _: NoWait,
    tenant: Tenant = None,
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Accounts with their connections and how each channel compared last; no secrets stand in that view."""
    request = list_query(parts.scope, {"tenant": tenant}, text, cursor, limit)
    return await _list(parts, ACCOUNTS, request, "accounts", add=_add_reconciliations)


@router.get("/queues")
async def list_queues(*, parts: PartsNow, _: NoWaitForQueues) -> Response:
    """What waits and runs at each service, and what is held back."""

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        return {"queues": [await _queue(connection, service, parts.scope) for service in SERVICES]}

    return await parts.reader.answer(read, AT_ONCE)


def service_total(service: str, request: ListQuery, kind: str | None = None) -> Statement | None:
    """The service's own count, where it keeps one for these filters."""
    filters: dict[str, Any] = request.filters | ({"kind": [kind]} if kind else {})
    if request.forms or not filters.keys() <= {"tenant", "account", "platform", "kind"}:
        return None
    conditions = "".join([f' AND "{column}" = ANY(%({column})s)' for column in filters])
    text = f"SELECT coalesce(sum(records), 0)::bigint AS rows, true AS whole FROM {service}.api_totals WHERE true"
    return Statement((text + conditions).encode(), filters)


async def _list(
    parts: Parts,
    listing: Listing,
    request: ListQuery,
    name: str,
    show: Callable[[Row], Row] = dict,
    total: Statement | None = None,
    add: Callable[[AsyncConnection, list[Row]], Awaitable[None]] | None = None,
    needs: str | None = None,
) -> Response:
    """The answer with a page of a list; see `page_of_service`."""

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        shown = await page_of_service(connection, listing, request, name, show, total, needs)
        if add is not None:
            await add(connection, shown[name])
        return shown

    return await parts.reader.answer(read, AT_ONCE)


async def page_of_service(
    connection: AsyncConnection,
    listing: Listing,
    request: ListQuery,
    name: str,
    show: Callable[[Row], Row] = dict,
    total: Statement | None = None,
    needs: str | None = None,
) -> Row:
    """A page of a list that a service publishes; `missing` says why it is not there.

    needs: a column that the view of an earlier release does not have.
    """
    service, missing = listing.source[0], None
    if not await exists(connection, listing.source):
        upgrade = await exists(connection, (service, "api_inbox"))
        missing = f"{service} has {'not been upgraded yet' if upgrade else 'never started'}"
    elif needs is not None and not await has_column(connection, listing.source, needs):
        missing = f"{service} has not been upgraded yet"
    if missing is not None:
        list_statements_of(listing, request)  # refuses a cursor of another list
        empty = {"next": None, "total": 0, "total_exact": True, "total_text": "0", "partial": False}
        return {name: [], **empty, "missing": missing}
    return await page(connection, listing, request, show, name, total)


def shown_match(row: Row) -> Row:
    """A match without the columns that the view has for the last release."""
    return {name: value for name, value in row.items() if name not in FORMER_MATCH_NAMES}


async def _add_names(connection: AsyncConnection, matches: list[Row]) -> None:
    """Add `hub` and `remote`, each with `title` and `sku`, or null where the catalogue has no such record."""
    hub = registry.hub().name
    for kind, view in (("product", "api_products"), ("customer", "api_customers")):
        of_kind = [match for match in matches if match["kind"] == kind]
        named: dict[tuple[str, str, str, str], Row] = {}
        if of_kind and await exists(connection, ("puller", view)):
            keys = [key for match in of_kind for key in (_key(match, hub, "hub_id"), _key(match, None, "remote_id"))]
            tenants, accounts, platforms, ids = map(list, zip(*keys, strict=True))
            asked = {"tenants": tenants, "accounts": accounts, "platforms": platforms, "ids": ids}
            rows = await (await connection.execute(_READS[f"{kind}_names"], asked, prepare=True)).fetchall()
            named = {
                (row["tenant"], row["account"], row["platform"], row["id"]): {"title": row["title"], "sku": row["sku"]}
                for row in rows
            }
        for match in of_kind:
            match["hub"] = named.get(_key(match, hub, "hub_id"))
            match["remote"] = named.get(_key(match, None, "remote_id"))


async def _add_reconciliations(connection: AsyncConnection, accounts: list[Row]) -> None:
    """Add `reconciliations`: the figures of the last complete RECONCILE_PRODUCTS of each channel."""
    found: dict[tuple[str, str], list[Row]] = {}
    if accounts and await exists(connection, ("syncer", "api_reconciliations")):
        asked = {
            "tenants": [account["tenant"] for account in accounts],
            "accounts": [account["account"] for account in accounts],
        }
        rows = await (await connection.execute(_READS["reconciliations"], asked, prepare=True)).fetchall()
        for row in rows:
            found.setdefault((row.pop("tenant"), row.pop("account")), []).append(row)
    for account in accounts:
        account["reconciliations"] = found.get((account["tenant"], account["account"]), [])


def _key(match: Row, platform: str | None, column: str) -> tuple[str, str, str, str]:
    """The key of a record in the catalogue; platform None: the match's channel."""
    return match["tenant"], match["account"], platform or match["platform"], match[column]


async def _queue(connection: AsyncConnection, service: str, scope: Scope) -> Row:
    inbox, holds = (service, "api_inbox"), (service, "api_holds")
    if not (await exists(connection, inbox) and await exists(connection, holds)):
        return {"service": service, "available": False, "accounts": [], "holds": []}
    condition = scope_condition(scope)
    conditions: dict[str, LiteralString] = {
        "inbox": condition,
        "holds": f" AND (kind = 'queue' OR (true{condition}))" if condition else "",
    }
    counts, held = [
        await (
            await connection.execute(
                sql.SQL(_QUEUES[name]).format(view=sql.Identifier(*view), scope=sql.SQL(conditions[name])),
                scope_values(scope),
            )
        ).fetchall()
        for name, view in (("inbox", inbox), ("holds", holds))
    ]
    newer = await waiting_at(connection, service, scope)
    waits = [row["oldest_waiting_seconds"] for row in counts if row["oldest_waiting_seconds"] is not None]
    return {
        "service": service,
        "available": True,
        "queued": sum(row["queued"] for row in counts),
        "running": sum(row["running"] for row in counts),
        "paused": sum(row["paused"] for row in counts),
        "oldest_waiting_seconds": float(max(waits)) if waits else None,
        "queue_paused": any(row["kind"] == "queue" for row in held),
        "accounts": [{**row, "oldest_waiting_seconds": float(row["oldest_waiting_seconds"] or 0)} for row in counts],
        "holds": held,
        **({} if newer is None else {"waiting_for_upgrade": newer}),
    }
