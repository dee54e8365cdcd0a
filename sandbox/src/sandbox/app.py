"""The sandbox's wiring: the state, a simulator for each platform, their routes."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from job_events.job_types import PLATFORMS
from sandbox.control import router
from sandbox.exchange import Call
from sandbox.faults import Faults
from sandbox.limits import CallWindows, CostBuckets
from sandbox.nhanh import Nhanh
from sandbox.requestlog import RequestLog
from sandbox.serving import Serving
from sandbox.shopify import Shopify
from sandbox.shops import Limits, Shops
from sandbox.simulator import Route, Simulator
from sandbox.state import State
from sandbox.transports import Transports


def create_app(
    folder: Path, transports: Transports, clock: Callable[[], float] = time.time, limits: Limits | None = None
) -> FastAPI:
    """The application over the state in `folder`. clock: unix seconds; limits: replace those of all shops."""
    state = State(folder)
    shops = Shops(state, limits)
    simulators: dict[str, Simulator] = {
        "nhanh": Nhanh(state, shops, CallWindows(clock), clock),
        "shopify": Shopify(state, shops, CostBuckets(clock), clock),
    }
    simulators = {name: simulators[name] for name in PLATFORMS if name in simulators}
    faults = Faults(state, clock)
    log = RequestLog(folder, clock)
    serving = Serving(
        shops=shops,
        simulators=simulators,
        faults=faults,
        log=log,
        transports=transports,
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        log.close()
        state.close()

    app = FastAPI(title="Jobtrail sandbox", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.include_router(
        router(
            state=state, shops=shops, faults=faults, log=log, serving=serving, platforms=tuple(simulators), clock=clock
        )
    )

    for name, simulator in simulators.items():
        for route in simulator.routes:
            app.add_api_route(route.address, _endpoint(serving, name, route), methods=list(route.methods))
    return app


def _endpoint(serving: Serving, platform: str, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = Call(
            platform=platform,
            method=request.method,
            path=route.path.format(**request.path_params),
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=b"",
        )
        return await serving.serve(request, call)

    return endpoint
