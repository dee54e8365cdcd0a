"""One HTTP exchange as the simulators see it, free of any web framework."""

from typing import Any

import msgspec

JSON = "application/json; charset=utf-8"


class Item(msgspec.Struct, kw_only=True):
    """One item of a write, for the request log. `outcome`: accepted, replayed, or the code of its refusal."""

    kind: str
    id: str
    outcome: str
    values: dict[str, Any] = {}
    idempotency_key: str | None = None


class Call(msgspec.Struct, kw_only=True):
    """A request. Header names are lower case."""

    platform: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Answer(msgspec.Struct, kw_only=True):
    """A response, what the request wrote, and what it used up of its rate limit (a call, or points)."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = {}
    items: list[Item] = []
    cost: float | None = None


def json_answer(value: Any, status: int = 200, items: list[Item] | None = None, cost: float | None = None) -> Answer:
    """A JSON response."""
    return Answer(status=status, body=msgspec.json.encode(value), items=items or [], cost=cost)
