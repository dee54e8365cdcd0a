"""What every route may ask for."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from job_tracker.api.follower import Streams
from job_tracker.api.freshness import Reader, WaitFor, wait_for_query
from job_tracker.api.instruments import Instruments
from job_tracker.api.list_statements import Wanted
from job_tracker.api.listing import MAX_PAGE
from job_tracker.keys import Keys
from job_tracker.projector.broker import Broker
from job_tracker.requests import Requests


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the API that bootstrap has wired."""

    reader: Reader
    requests: Requests
    keys: Keys
    instruments: Instruments
    streams: Streams
    broker: Broker


async def parts(request: Request) -> Parts:
    found = request.app.state.parts
    assert isinstance(found, Parts)  # noqa: S101 - set by the lifespan before any request
    return found


PartsNow = Annotated[Parts, Depends(parts)]
Wait = Annotated[WaitFor, Depends(wait_for_query)]
# Empty ones would mean none at all, and the rollups keep the whole house, and all accounts together, under them.
Tenant = Annotated[str | None, Query(min_length=1)]
Account = Annotated[str | None, Query(min_length=1)]
Text = Annotated[str | None, Query(max_length=200, description="search text")]
Cursor = Annotated[str | None, Query(max_length=2048, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


def wanted(filters: dict[str, str | list[str] | None], text: str | None, cursor: str | None, limit: int) -> Wanted:
    """Filters that were not given are left out."""
    given = {
        column: value if isinstance(value, list) else [value] for column, value in filters.items() if value is not None
    }
    return Wanted(filters=given, text=text, cursor=cursor, limit=limit)
