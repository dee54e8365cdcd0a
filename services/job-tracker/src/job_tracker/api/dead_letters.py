"""Dead letters: records that a consumer refused, and their acknowledgement."""

import base64
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from job_events.events import MAX_COUNT
from job_tracker.api.acknowledgements import DeadLetterPosition
from job_tracker.api.deps import Cursor, Limit, PartsNow, Wait, list_query
from job_tracker.api.freshness import AsyncConnection
from job_tracker.api.job_requests import Actor, StrictBody
from job_tracker.api.list_statements import Listing
from job_tracker.api.listing import MAX_PAGE, page
from job_tracker.api.problems import Json
from job_tracker.domain.list_plans import IndexedFilter
from job_tracker.errors import Problem, UnknownDeadLetters
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "dead_letters.sql")
Row = dict[str, Any]
# A dead letter names no tenant, but perhaps a job. One without is visible only where the scope is all tenants.
DEAD_LETTERS = Listing(
    source=("tracker", "listed_dead_letter"),
    key=("appended_at", "topic", "partition", "offset", "consumer"),
    key_types=(datetime, str, int, int, str),
    served=(
        IndexedFilter((), "dead_letter_newest"),
        IndexedFilter(("consumer",), "dead_letter_by_consumer"),
        IndexedFilter(("topic",), "dead_letter_by_topic"),
        IndexedFilter(("job_id",), "dead_letter_by_job"),
    ),
    filters=("consumer", "topic", "job_id", "acknowledged"),
    newest_first=True,
    visible=_SQL["visible"],
)
router = APIRouter(tags=["dead letters"])


class DeadLetterKey(StrictBody):
    """The key of a dead letter, as the list shows it."""

    topic: Annotated[str, Field(min_length=1, max_length=249)]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
    offset: Annotated[int, Field(ge=0, le=MAX_COUNT, strict=True)]
    consumer: Annotated[str, Field(min_length=1, max_length=255)]


class AckBody(StrictBody):
    """Dead letters to acknowledge, and why."""

    letters: Annotated[list[DeadLetterKey], Field(min_length=1, max_length=MAX_PAGE)]
    reason: Annotated[str, Field(max_length=4096)] = ""


@router.get("/dead-letters")
async def list_dead_letters(
    *,
    parts: PartsNow,
    wait: Wait,
    consumer: Annotated[str | None, Query(description="who refused it")] = None,
    topic: Annotated[str | None, Query(description="where the record lies")] = None,
    job_id: Annotated[str | None, Query(description="the job that the record names, where that can be read")] = None,
    acknowledged: Annotated[Literal["false", "true", "any"], Query(description="whether it is acknowledged")] = "false",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Records that a consumer refused, newest first: their positions, and the reasons.

    `value_bytes` is the size of the whole record; `value` shows 64 KiB of it at most. Those that somebody has
    acknowledged are left out unless they are asked for. `wait_for` takes a token of the jobs' topics, or one of
    `/jobs/{id}/items`, with which the dead letters of other services come.
    """
    state = None if acknowledged == "any" else acknowledged
    request = list_query(
        parts.scope,
        {"consumer": consumer, "topic": topic, "job_id": job_id, "acknowledged": state},
        None,
        cursor,
        limit,
    )
    of_items = {one for one, _ in wait.positions} & set(parts.reader.topics(parts.reader.items))

    async def read(connection: AsyncConnection, _: datetime) -> Row:
        shown = await page(connection, DEAD_LETTERS, request, _letter, "dead_letters")
        await _add_acknowledgements(connection, shown["dead_letters"])
        return shown

    return await parts.reader.answer(read, wait, parts.reader.items if of_items else None)


@router.post("/dead-letters/ack")
async def acknowledge(*, parts: PartsNow, body: AckBody, actor: Actor = "api") -> Response:
    """Acknowledge these dead letters: all of them, or none. The first acknowledgement of one stays."""
    letters = [DeadLetterPosition(one.topic, one.partition, one.offset, one.consumer) for one in body.letters]
    try:
        added = await parts.acknowledgements.add(letters, actor, body.reason, parts.scope)
    except UnknownDeadLetters as error:
        fields = [(f"letters[{index}]", "is unknown") for index in error.indexes]
        detail = "there is no dead letter at " + ", ".join(field for field, _ in fields) + "; none was acknowledged"
        raise Problem(404, detail, fields) from None
    return Json({"acknowledged": added, "already": len(set(letters)) - added})


async def _add_acknowledgements(connection: AsyncConnection, letters: list[Row]) -> None:
    """Add `acknowledgement`: by whom, when and why, or null."""
    found: dict[DeadLetterPosition, Row] = {}
    if letters:
        asked = {f"{name}s": [one[name] for one in letters] for name in DeadLetterPosition._fields}
        rows = await (await connection.execute(_SQL["acknowledgements"], asked)).fetchall()
        found = {_place(row): row for row in rows}
    for letter in letters:
        known = found.get(_place(letter)) if letter["acknowledged"] else None
        letter["acknowledgement"] = known and {
            "by": known["acknowledged_by"],
            "at": known["acknowledged_at"],
            "reason": known["reason"],
        }


def _place(row: Row) -> DeadLetterPosition:
    return DeadLetterPosition(row["topic"], row["partition"], row["offset"], row["consumer"])


def _letter(row: Row) -> Row:
    return row | {
        "key": _text(row["key"]),
        "value": _text(row["value"]),
        "acknowledged": row["acknowledged"] == "true",
    }


def _text(value: bytes | None) -> Row | None:
    """Bytes as text where they are text, else as base64."""
    if value is None:
        return None
    try:
        return {"encoding": "utf-8", "text": value.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "text": base64.b64encode(value).decode()}
