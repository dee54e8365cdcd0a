"""The one place where the sandbox is wired together."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from sandbox.control import router
from sandbox.exchange import Call
from sandbox.faults import Faults
from sandbox.limits import CallWindows, CostBuckets
from sandbox.nhanh import NOT_FOUND_PAGE, Nhanh
from sandbox.requestlog import RequestLog
from sandbox.serving import Serving
from sandbox.shopify import Shopify
from sandbox.shops import Shops
from sandbox.state import State
from sandbox.transports import Transports

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(folder: Path, transports: Transports) -> FastAPI:
    """The application over the state in `folder`."""
    clock = time.time
    state = State(folder)
    shops = Shops(state)
    windows = CallWindows(clock)
    faults = Faults(state, clock)
    log = RequestLog(folder, clock)
    serving = Serving(
        shops=shops,
        nhanh=Nhanh(state, shops, windows, clock),
        shopify=Shopify(state, shops, CostBuckets(clock), clock),
        windows=windows,
        faults=faults,
        log=log,
        transports=transports,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        log.close()
        state.close()

    app = FastAPI(title="Jobtrail sandbox", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.include_router(router(state=state, shops=shops, faults=faults, log=log, serving=serving))

    @app.api_route("/nhanh/v3.0/{path:path}", methods=METHODS)
    async def nhanh(path: str, request: Request) -> Response:
        return await serving.serve(request, _call(request, "nhanh", path))

    @app.api_route("/shopify/{shop}/admin/api/{version}/graphql.json", methods=["POST"])
    async def shopify(shop: str, version: str, request: Request) -> Response:
        return await serving.serve(request, _call(request, "shopify", f"{shop}/{version}"))

    @app.api_route("/nhanh/{path:path}", methods=METHODS)
    async def no_failpoint(path: str) -> Response:
        return Response(NOT_FOUND_PAGE, 404, media_type="text/html")

    return app


def _call(request: Request, platform: str, path: str) -> Call:
    return Call(
        platform="nhanh" if platform == "nhanh" else "shopify",
        method=request.method,
        path=path,
        query=dict(request.query_params),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=b"",
    )
