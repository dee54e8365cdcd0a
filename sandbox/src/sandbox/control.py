"""The control API for people and tests: shops, settings, faults, edits, the request log."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.articles import Article, Person
from sandbox.catalogues import CatalogueUnreadable
from sandbox.edits import (
    Edit,
    RecordExists,
    Replacement,
    UnknownRecord,
    add,
    apply,
    dump,
    remove,
    replace_variant,
    truth,
)
from sandbox.faults import Fault, Faults
from sandbox.nhanh_orders import Bill, Order
from sandbox.requestlog import RequestLog
from sandbox.serving import Serving
from sandbox.shops import DEPOTS, LOCATIONS, ContentDiffers, Shop, Shops, Source
from sandbox.state import State
from sandbox.usage import usages

Wanted = TypeVar("Wanted")


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response of anything msgspec can encode."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def _body(request: Request, kind: type[Wanted]) -> Wanted:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise HTTPException(422, str(error)) from error


def _connection(shop: Shop, root: str) -> dict[str, Any]:
    path = "nhanh" if shop.platform == "nhanh" else f"shopify/{shop.key.partition(':')[2]}"
    return {"base_url": f"{root}/{path}", "credentials": shop.access}


def router(
    *,
    state: State,
    shops: Shops,
    faults: Faults,
    log: RequestLog,
    serving: Serving,
    platforms: Sequence[str],
    clock: Callable[[], float],
) -> APIRouter:
    """All /_sandbox routes. platforms: those that have a simulator; clock: unix seconds."""
    routes = APIRouter(prefix="/_sandbox")

    sources = [(platform, Source | None, None) for platform in platforms]
    NewAccount = msgspec.defstruct("NewAccount", [("account", str), *sources], kw_only=True, forbid_unknown_fields=True)

    def known(account: str, platform: str) -> Shop:
        shop = shops.of(account, platform)
        if shop is None:
            raise HTTPException(404, f"there is no {platform} shop of account {account!r}")
        return shop

    @routes.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.post("/shops")
    async def create(request: Request) -> Response:
        wanted = msgspec.structs.asdict(await _body(request, NewAccount))
        account: str = wanted.pop("account")
        root = str(request.base_url).rstrip("/")
        given: dict[str, Source] = {platform: source for platform, source in wanted.items() if source is not None}
        result: dict[str, Any] = {"account": account}
        for platform, source in given.items():
            try:
                shop = await run_in_threadpool(shops.create, account, platform, source)
            except ContentDiffers as error:
                raise HTTPException(409, str(error)) from error
            except CatalogueUnreadable as error:
                raise HTTPException(422, str(error)) from error
            result[platform] = {
                **_connection(shop, root),
                "report": shop.report,
                "records": shops.holdings(shop),
            }
        fewest = min((source.places for source in given.values()), default=len(DEPOTS))
        pairs = zip(DEPOTS[:fewest], LOCATIONS[:fewest], strict=True)
        result["depot_locations"] = {str(depot): str(location) for (depot, _), (location, _) in pairs}
        return answer(result)

    @routes.get("/shops")
    def all_shops(request: Request) -> Response:
        root = str(request.base_url).rstrip("/")
        accounts: dict[str, dict[str, Any]] = {}
        for shop in shops.all():
            accounts.setdefault(shop.account, {})[shop.platform] = {
                "records": shops.holdings(shop),
                "writes": shops.writes(shop),
                "requests": log.requests(shop.account, shop.platform),
                "report": shop.report,
                "settings": shop.settings,
                "base_url": _connection(shop, root)["base_url"],
            }
        return answer({"accounts": accounts})

    @routes.patch("/shops/{account}/{platform}")
    async def switch(account: str, platform: str, request: Request) -> Response:
        known(account, platform)
        try:
            shop = shops.set(account, platform, await _body(request, dict[str, Any]))
        except msgspec.ValidationError as error:
            raise HTTPException(422, str(error)) from error
        return answer(shop.settings)

    _add_record_routes(routes, state, known, clock)

    @routes.get("/faults")
    def active() -> Response:
        return answer(faults.all())

    @routes.post("/faults")
    async def strike(request: Request) -> Response:
        fault = await _body(request, Fault)
        if fault.platform not in platforms:
            raise HTTPException(422, f"platform must be one of {', '.join(platforms)}")
        return answer(await run_in_threadpool(faults.add, fault), 201)

    @routes.delete("/faults")
    async def clear() -> Response:
        serving.end_waits()
        return answer({"cleared": await run_in_threadpool(faults.clear)})

    @routes.get("/usage")
    def usage(account: str | None = None, platform: str | None = None, after: int = 0) -> Response:
        entries = log.read(account, platform, after, sys.maxsize, writes_only=False)
        return answer(usages(entries, shops.all()))

    @routes.get("/requests")
    def requests(
        account: str | None = None,
        platform: str | None = None,
        after: int = 0,
        limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
        writes: bool = False,
    ) -> Response:
        return answer(log.read(account, platform, after, limit, writes_only=writes))

    return routes


_NEW: dict[str, type[Article | Person | Order | Bill]] = {
    "product": Article,
    "customer": Person,
    "order": Order,
    "bill": Bill,
}


def _add_record_routes(
    routes: APIRouter, state: State, known: Callable[[str, str], Shop], clock: Callable[[], float]
) -> None:
    """Read, edit, create and delete single records."""

    @routes.get("/records/{account}/{platform}/{kind}")
    def records(account: str, platform: str, kind: str) -> Response:
        return answer(dump(state, known(account, platform), kind))

    @routes.post("/records/{account}/{platform}/{kind}")
    async def edit(account: str, platform: str, kind: str, request: Request) -> Response:
        shop = known(account, platform)
        try:
            return answer(apply(state, shop, kind, await _body(request, Edit), shop.now(clock)))
        except UnknownRecord as error:
            raise HTTPException(404, str(error)) from error

    @routes.put("/records/{account}/{platform}/{kind}")
    async def create_record(
        account: str, platform: str, kind: Literal["product", "customer", "order", "bill"], request: Request
    ) -> Response:
        shop = known(account, platform)
        new, now = await _body(request, _NEW[kind]), shop.now(clock)
        if isinstance(new, Order | Bill) and platform != "nhanh":
            raise HTTPException(404, f"the sandbox keeps no {kind}s of {platform}")
        if isinstance(new, Article | Person) and b'"updated_at"' not in await request.body():
            new = msgspec.structs.replace(new, updated_at=now)
        try:
            return answer(await run_in_threadpool(add, state, shop, new, now), 201)
        except RecordExists as error:
            raise HTTPException(409, str(error)) from error

    @routes.delete("/records/{account}/{platform}/{kind}/{number}")
    def delete_record(account: str, platform: str, kind: str, number: int) -> Response:
        shop = known(account, platform)
        try:
            remove(state, shop, kind, number, shop.now(clock))
        except UnknownRecord as error:
            raise HTTPException(404, str(error)) from error
        return answer({"deleted": number})

    @routes.post("/records/{account}/shopify/variant/{number}/replace")
    async def replace(account: str, number: int, request: Request) -> Response:
        try:
            new = await _body(request, Replacement)
            return answer(replace_variant(state, known(account, "shopify"), number, new), 201)
        except UnknownRecord as error:
            raise HTTPException(404, str(error)) from error
        except RecordExists as error:
            raise HTTPException(409, str(error)) from error

    @routes.get("/truth/{account}/{kind}")
    def pairs_of(account: str, kind: Literal["product", "customer"]) -> Response:
        return answer(truth(state, known(account, "nhanh"), known(account, "shopify"), kind))
