"""The FastAPI application; bootstrap hands it its parts."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response

from job_tracker.api import catalogue, commands, jobs, problems, upkeep
from job_tracker.api.deps import Parts

MAX_BODY = 1_048_576  # bytes


def create_app(open_parts: Callable[[], AbstractAsyncContextManager[Parts]]) -> FastAPI:
    """The application; `open_parts` is entered when it starts and left when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="Jobtrail",
        description="The job table of Jobtrail: every answer says how fresh it is.",
        version="1",
        lifespan=lifespan,
    )
    problems.install(app)
    for module in (jobs, commands, catalogue, upkeep):
        app.include_router(module.router)

    @app.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if int(request.headers.get("content-length") or 0) > MAX_BODY:
            return problems.problem_response(problems.Problem(413, f"a body may have {MAX_BODY:,} bytes at most"))
        begun = time.perf_counter()
        response = await call_next(request)
        route = request.scope.get("route")
        name = f"{request.method} {getattr(route, 'path', 'unknown')}"
        parts: Parts = request.app.state.parts
        parts.instruments.requests.labels(name, str(response.status_code)).inc()
        parts.instruments.seconds.labels(name).observe(time.perf_counter() - begun)
        return response

    return app
