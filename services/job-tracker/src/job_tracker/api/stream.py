"""`GET /stream`: the job table live, as server-sent events."""

from collections.abc import AsyncGenerator
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from job_tracker.api.deps import Account, Limit, PartsNow, Tenant
from job_tracker.api.jobs import Status
from job_tracker.api.problems import problem_response
from job_tracker.domain.changes import View
from job_tracker.domain.event_stream import StreamPosition
from job_tracker.errors import Problem

MAX_READERS = 4000  # in one process; further requests get 503
PING = 15  # seconds between comments, which keep proxies from closing a quiet stream
SHUTDOWN_GRACE = 1.0  # seconds after SIGTERM until a stream that has not ended is closed
SEND_TIMEOUT = 30  # seconds; a reader that receives nothing for so long is disconnected, and may resume
Token = Annotated[str | None, Header(alias="Last-Event-ID", max_length=8192)]
router = APIRouter(tags=["jobs"])
log = structlog.get_logger()


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    *,
    parts: PartsNow,
    status: Annotated[list[Status] | None, Query()] = None,
    type_: Annotated[list[str] | None, Query(alias="type")] = None,
    tenant: Tenant = None,
    account: Account = None,
    chain: str | None = None,
    job_id: Annotated[list[str] | None, Query(max_length=200)] = None,
    limit: Limit = 50,
    last_event_id: Annotated[
        str | None, Query(max_length=8192, description="for clients that cannot set the header Last-Event-ID")
    ] = None,
    last_event_header: Token = None,
) -> Response:
    """The newest jobs, then every change of the view, as events `snapshot`, `jobs`, `freshness` and `reset`.

    The id of an event is a freshness token; `Last-Event-ID` goes on after it without a gap.
    """
    if parts.streams.open >= MAX_READERS:
        full = Problem(503, f"{MAX_READERS} streams are open here; come back in some seconds, or poll GET /jobs")
        return problem_response(full, {"Retry-After": "5"})
    view = View(
        tenant=tenant,
        account=account,
        chain=chain,
        status=frozenset(status or ()),
        job_type=frozenset(type_ or ()),
        job_id=frozenset(job_id or ()),
        scope=parts.scope,
    )
    events = parts.streams.follow(view, limit, _place(last_event_header or last_event_id))
    # The first event is read here, so that an unavailable PostgreSQL is a problem response and no broken stream.
    first = await anext(events)
    return CutOff(_led(first, events), ping=PING, send_timeout=SEND_TIMEOUT, shutdown_grace_period=SHUTDOWN_GRACE)


class CutOff(EventSourceResponse):
    """A stream that is closed when its reader stops receiving; that is no error of the server."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("stream closed: reader stopped receiving", seconds=SEND_TIMEOUT)


async def _led(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for event in events:
            yield event
    finally:
        await events.aclose()


def _place(last_id: str | None) -> StreamPosition | None:
    if not last_id:
        return None
    try:
        return StreamPosition.read(last_id)
    except ValueError as error:
        raise Problem(422, str(error), [("Last-Event-ID", "is not an id of this stream")]) from None
