"""The addresses at which users of the earlier system read products and edit mappings."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from job_tracker.api.catalogue import AT_ONCE, MATCHES, PRODUCTS, page_of_service, service_total, shown_match
from job_tracker.api.deps import Account, Cursor, Limit, NoWait, PartsNow, Tenant, Text, list_query
from job_tracker.api.earlier_routes import REQUESTED, AccountBody, NoEffect, no_effects, request_of_account
from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.job_requests import Actor, Key, Name
from job_tracker.api.list_statements import Listing, ListQuery, Statement
from job_tracker.api.tenancy import CallerScope
from job_tracker.errors import Problem

Row = dict[str, Any]
Page = Annotated[int, Query(ge=1, le=1, description="1 alone; the next page: `cursor` with `next` of the one before")]
Keyword = Annotated[str | None, Query(max_length=200, description="search text")]
Status = Literal["auto", "review", "confirmed", "rejected"]
FOUND = 20  # products of a search
router = APIRouter(tags=["earlier system"])


class SearchBody(AccountBody):
    """What to search for: one of the three."""

    keyword: Text = None
    sku: Text = None
    barcode: Text = None


_KNOWN = NoEffect("the catalogue has it")


class _Shown(AccountBody):
    """What the earlier system stored with a mapping for people."""

    nhanh_product_name: Annotated[str | None, _KNOWN] = None
    nhanh_sku: Annotated[str | None, _KNOWN] = None
    nhanh_barcode: Annotated[str | None, _KNOWN] = None
    nhanh_price: Annotated[float | None, _KNOWN] = None
    shopify_product_id: Annotated[str | None, _KNOWN] = None
    shopify_product_title: Annotated[str | None, _KNOWN] = None
    shopify_sku: Annotated[str | None, _KNOWN] = None
    shopify_barcode: Annotated[str | None, _KNOWN] = None


class MappingBody(_Shown):
    """The two records of a mapping."""

    nhanh_product_id: Name
    shopify_variant_id: Name


class MappingChange(_Shown):
    """The variant to which a mapping moves; id: of the mapping, which is that of its product in Nhanh."""

    id: Name
    shopify_variant_id: Name


def _pulled_from(platform: str) -> Callable[..., Awaitable[ListQuery]]:
    """The query parameters of a list of what was pulled from one platform."""

    async def read(
        *,
        scope: CallerScope,
        tenant: Tenant = None,
        account: Account = None,
        keyword: Keyword = None,
        page: Page = 1,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> ListQuery:
        filters = {"tenant": tenant, "account": account, "platform": platform}
        return list_query(scope, filters, keyword, cursor, limit)

    return read


PulledFromNhanh = Annotated[ListQuery, Depends(_pulled_from("nhanh"))]
PulledFromShopify = Annotated[ListQuery, Depends(_pulled_from("shopify"))]


@router.get("/api/nhanh/local-products")
async def list_nhanh_products(*, parts: PartsNow, _: NoWait, pulled: PulledFromNhanh) -> Response:
    """The products that were pulled from Nhanh, as GET /products with `platform=nhanh` has them."""
    return await _products(parts, pulled)


@router.get("/api/shopify/local-products")
async def list_shopify_products(*, parts: PartsNow, _: NoWait, pulled: PulledFromShopify) -> Response:
    """The products that were pulled from Shopify, as GET /products with `platform=shopify` has them."""
    return await _products(parts, pulled)


@router.get("/api/shopify/search-products")
async def search_products(
    *, parts: PartsNow, _: NoWait, tenant: Tenant = None, account: Account = None, keyword: Keyword = None
) -> Response:
    """Up to 20 pulled products of Shopify whose names, SKUs or barcodes hold the keyword."""
    return await _search(parts, tenant, account, keyword)


@router.post("/api/shopify/search-products")
async def search_products_by_body(*, parts: PartsNow, _: NoWait, body: SearchBody) -> Response:
    """The same, as the earlier system took it."""
    return await _search(parts, body.tenant, body.account, body.keyword or body.sku or body.barcode)


@router.get("/api/sync/product-mapping")
async def list_mappings(
    *,
    parts: PartsNow,
    _: NoWait,
    tenant: Tenant = None,
    account: Account = None,
    status: Status | None = None,
    page: Page = 1,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The matches of products with Shopify, as GET /matches has them."""
    fixed = {"kind": "product", "platform": "shopify", "status": status}
    request = list_query(parts.scope, {"tenant": tenant, "account": account, **fixed}, None, cursor, limit)

    def show(row: Row) -> Row:
        ids = {"id": row["hub_id"], "nhanhProductId": row["hub_id"], "shopifyVariantId": row["remote_id"]}
        return shown_match(row) | ids

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        total = service_total("matcher", request)
        found = await page_of_service(connection, MATCHES, request, "mappings", show, total, needs="hub_id")
        return {"success": True, "data": {"mappings": found["mappings"], "pagination": _pagination(found, limit)}}

    return await parts.reader.answer(read, AT_ONCE)


@router.post("/api/sync/product-mapping", responses=REQUESTED)
async def create_mapping(*, parts: PartsNow, body: MappingBody, actor: Actor = "api", key: Key = None) -> Response:
    """Link a product of Nhanh with a variant of Shopify, as POST /matches does: by a job."""
    params = {"action": "create", "hub_id": body.nhanh_product_id, "remote_id": body.shopify_variant_id}
    return await _edit(parts, body, params, actor, key)


@router.patch("/api/sync/product-mapping", responses=REQUESTED)
async def change_mapping(*, parts: PartsNow, body: MappingChange, actor: Actor = "api", key: Key = None) -> Response:
    """Move a mapping to another variant of Shopify, as PATCH /matches does."""
    params = {"action": "correct", "hub_id": body.id, "remote_id": body.shopify_variant_id}
    return await _edit(parts, body, params, actor, key)


@router.delete("/api/sync/product-mapping", responses=REQUESTED)
async def delete_mapping(
    *,
    parts: PartsNow,
    mapping_id: Annotated[str, Query(alias="id", min_length=1, max_length=128)],
    tenant: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    account: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    actor: Actor = "api",
    key: Key = None,
) -> Response:
    """Reject a mapping, as DELETE /matches does."""
    params = {"action": "delete", "hub_id": mapping_id}
    return await _edit(parts, AccountBody(tenant=tenant, account=account), params, actor, key)


async def _edit(parts: PartsNow, body: AccountBody, params: Row, actor: str, key: str | None) -> Response:
    edit = {"kind": "product", "platform": "shopify", **params}
    return await request_of_account(parts, body, "EDIT_MATCH", edit, actor=actor, key=key, notes=no_effects(body))


async def _products(parts: PartsNow, request: ListQuery) -> Response:
    async def read(connection: AsyncConnection, _: datetime) -> Row:
        found = await _page(connection, PRODUCTS, request, service_total("puller", request, "product"))
        return {"success": True, "data": {"products": found["products"], **_pagination(found, request.limit)}}

    return await parts.reader.answer(read, AT_ONCE)


async def _search(parts: PartsNow, tenant: str | None, account: str | None, text: str | None) -> Response:
    if not text:
        reason = "is needed, or sku, or barcode"
        raise Problem(422, f"keyword {reason}", [("keyword", reason)])
    filters = {"tenant": tenant, "account": account, "platform": "shopify"}
    request = list_query(parts.scope, filters, text, None, FOUND)

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        return {"success": True, "data": (await _page(connection, PRODUCTS, request))["products"]}

    return await parts.reader.answer(read, AT_ONCE)


async def _page(
    connection: AsyncConnection, listing: Listing, request: ListQuery, total: Statement | None = None
) -> Row:
    def show(row: Row) -> Row:
        return row | {"id": row["product_id"], "variantId": row["variant_id"], "name": row["title"]}

    return await page_of_service(connection, listing, request, "products", show, total)


def _pagination(found: Row, limit: int) -> Row:
    return {"limit": limit} | {name: found[name] for name in ("next", "total", "total_exact", "partial")}
