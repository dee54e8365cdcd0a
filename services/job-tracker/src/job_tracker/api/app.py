"""The FastAPI application; `bootstrap_api` provides its parts."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse, Response
from fastapi_offline import FastAPIOffline
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job_tracker.api import (
    catalogue,
    commands,
    dead_letters,
    deletions,
    earlier_lists,
    earlier_routes,
    earlier_schedule,
    jobs,
    ops,
    problems,
    schedules,
    stream,
)
from job_tracker.api.deps import Parts
from job_tracker.api.input_checks import check_input
from job_tracker.errors import Problem

MAX_BODY = 1_048_576  # bytes
_READING = {"GET", "HEAD", "OPTIONS"}
_TOO_LARGE = f"a body may have {MAX_BODY:,} bytes at most"


def create_app(
    open_parts: Callable[[], AbstractAsyncContextManager[Parts]], names: frozenset[str] = frozenset()
) -> FastAPI:
    """The application; `open_parts` is entered when it starts and left when it ends. `names`: see `RequestGuard`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    # The documentation is served without a CDN, and runs no third-party script.
    app = FastAPIOffline(
        redoc_url=None,
        title="Jobtrail",
        description="The job table of Jobtrail: every answer says how fresh it is.",
        version="1",
        lifespan=lifespan,
        responses=problems.DESCRIBED,
        dependencies=[Depends(check_input)],
    )
    problems.install(app)
    own = (jobs, commands, deletions, catalogue, dead_letters, schedules, stream, ops)
    for module in (*own, earlier_routes, earlier_lists, earlier_schedule):
        app.include_router(module.router)

    @app.get("/", include_in_schema=False)
    async def begin() -> Response:
        return RedirectResponse("/docs")

    app.add_middleware(RequestGuard, names=names)
    return app


def _refusal(method: str, headers: Headers, names: frozenset[str]) -> Problem | None:
    """The problem of a request that its headers show."""
    if not _is_own_name(host := headers.get("host", ""), names):
        mend = "call it by its address, or name it in JOBTRAIL_API_NAMES"
        return Problem(421, f"{host[:256]!r} is not known as a name of this API: {mend}")
    if int(headers.get("content-length") or 0) > MAX_BODY:
        return Problem(413, _TOO_LARGE)
    if method not in _READING and _from_another_site(headers):
        return Problem(403, "a page of another site asks for this; only the API's own may")
    return None


def _from_another_site(headers: Headers) -> bool:
    """Whether a browser sends this for a page of another site, which it does with the rights of its user."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        return True


@lru_cache(64)  # called with each request, nearly always with the same name
def _is_own_name(host: str, names: frozenset[str]) -> bool:
    """Whether a page of that host can be trusted to be the API's own.

    Any site can resolve a name of its own to this address (DNS rebinding), but no IP address and no name without a dot.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if "." not in name or name.endswith(".localhost") or name in names:
            return True
        ip_address(name)
    except ValueError:
        return False
    return True


class RequestGuard:
    """Counts and times every response up to its first byte; refuses too large bodies and requests of other sites.

    `names` are those with dots, in lower case, that the API answers to.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD" and scope["path"] not in problems.WITHOUT_HEAD:
            scope = {**scope, "method": "GET"}  # the server leaves out the body by itself
        begun = time.perf_counter()

        def note(status: int) -> None:
            instruments = scope["app"].state.parts.instruments
            name = f"{scope['method']} {getattr(scope.get('route'), 'path', 'unknown')}"
            instruments.requests.labels(name, str(status)).inc()
            instruments.seconds.labels(name).observe(time.perf_counter() - begun)

        begins = False

        async def measure(message: Message) -> None:
            nonlocal begins
            if message["type"] == "http.response.start":
                begins = True
                note(message["status"])
            await send(message)

        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:  # sent in chunks, without a length
                raise HTTPException(413, _TOO_LARGE)
            return message

        if (refusal := _refusal(scope["method"], Headers(scope=scope), self._names)) is not None:
            await problems.problem_response(refusal, path=scope["path"])(scope, receive, measure)
            return
        try:
            await self._app(scope, bounded, measure)
        except Exception:
            if not begins:
                note(500)
            raise
