"""The dependencies of the routes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Query, Request

from job_tracker.api.acknowledgements import Acknowledgements
from job_tracker.api.command_publisher import CommandPublisher
from job_tracker.api.freshness import SnapshotReader, WaitFor, wait_for_query
from job_tracker.api.idempotency import IdempotencyKeys
from job_tracker.api.list_statements import ListQuery
from job_tracker.api.listing import MAX_PAGE
from job_tracker.api.metrics import Metrics
from job_tracker.api.schedule_store import ScheduleStore
from job_tracker.api.stream_sessions import StreamSessions
from job_tracker.api.tenancy import CallerScope
from job_tracker.domain.scope import ALL_TENANTS, Scope
from job_tracker.errors import Problem
from job_tracker.log.broker import Broker


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the API, wired by `bootstrap_api`; `scope` is that of the request."""

    reader: SnapshotReader
    requests: CommandPublisher
    keys: IdempotencyKeys
    instruments: Metrics
    streams: StreamSessions
    broker: Broker
    acknowledgements: Acknowledgements
    schedules: ScheduleStore
    scope: Scope = ALL_TENANTS


async def parts(request: Request, scope: CallerScope) -> Parts:
    found = request.app.state.parts
    assert isinstance(found, Parts)  # noqa: S101 - set by the lifespan before any request
    return replace(found, scope=scope)


PartsNow = Annotated[Parts, Depends(parts)]
Wait = Annotated[WaitFor, Depends(wait_for_query)]
_Refused = Annotated[str | None, Query(description="refused: this list is not made from the log")]
_Unused = Annotated[float | None, Query(description="of `wait_for`, and refused with it")]


async def _no_wait(wait_for: _Refused = None, deadline: _Unused = None) -> None:
    """Refuse `wait_for`: a token says how far the log was read, and services write their tables later.

    Raises:
        Problem: 422, with what to do instead.
    """
    if wait_for is not None or deadline is not None:
        detail = (
            "a token cannot say whether this list shows a change, which a job makes in a service's own table: wait for "
            "the job (GET /jobs/{job_id}?wait_for=TOKEN, then until its state is finished), then read the list"
        )
        raise Problem(422, detail, [("wait_for", "is not possible here; wait for the job")])


async def _no_wait_for_queues(wait_for: _Refused = None, deadline: _Unused = None) -> None:
    """As `_no_wait`.

    Raises:
        Problem: 422, with what to do instead.
    """
    if wait_for is not None or deadline is not None:
        detail = (
            "a token cannot say whether a service has applied a pause or resume, which it notes in its own table: read "
            "this list until `holds` shows it"
        )
        raise Problem(422, detail, [("wait_for", "is not possible here; read until `holds` shows the change")])


NoWait = Annotated[None, Depends(_no_wait)]
NoWaitForQueues = Annotated[None, Depends(_no_wait_for_queues)]
# An empty one would mean none at all: under it the rollups keep the sums of all tenants, and of all accounts.
Tenant = Annotated[str | None, Query(min_length=1)]
Account = Annotated[str | None, Query(min_length=1)]
Text = Annotated[str | None, Query(max_length=200, description="search text")]
Cursor = Annotated[str | None, Query(max_length=2048, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


def list_query(
    scope: Scope, filters: Mapping[str, str | list[str] | None], text: str | None, cursor: str | None, limit: int
) -> ListQuery:
    """What a caller asks of a list, within `scope`. Filters that were not given are left out.

    A list that can be filtered by `tenant` is narrowed by that filter, any other by its `visible` condition.
    """
    given = {
        column: value if isinstance(value, list) else [value] for column, value in filters.items() if value is not None
    }
    if "tenant" not in filters:
        return ListQuery(given, text, cursor=cursor, limit=limit, tenants=scope.narrowed())
    (tenant,) = given.pop("tenant", [None])
    if (tenants := scope.narrowed(tenant)) is not None:
        given["tenant"] = tenants
    return ListQuery(given, text, cursor=cursor, limit=limit)
