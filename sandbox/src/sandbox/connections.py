"""Shopify's paging: cursors, pageInfo, sort keys. A cursor says where the last node stood, so pages stay right
while records change."""

import base64
import binascii
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec
from graphql import GraphQLError

from sandbox.search import parse
from sandbox.state import Doc, Record, find

MAX_FIRST = 250
_SORTS = {"UPDATED_AT": "updated_at", "TITLE": "title", "NAME": "title", "SKU": "code"}


def bad_request(message: str) -> GraphQLError:
    """An error above the data, which makes the whole answer fail."""
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode()


def _decode(text: str) -> list[Any]:
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(text), type=list[Any])
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise bad_request(f"Invalid cursor for current pagination sort: {text[:80]}") from error
    return values


def page_size(args: dict[str, Any]) -> tuple[int, bool]:
    """(how many, whether counted from the end). Raises GraphQLError unless one of first and last is 0..250."""
    first, last = args.get("first"), args.get("last")
    if (first is None) == (last is None):
        raise bad_request("you must provide one of first or last")
    size = int(first if first is not None else last or 0)
    if not 0 <= size <= MAX_FIRST:
        raise bad_request(f"{'first' if last is None else 'last'} must be between 0 and {MAX_FIRST}")
    return size, first is None


def connection(nodes: list[Doc], cursors: list[str], *, before: bool, after: bool) -> Doc:
    """The connection object of one page."""
    return {
        "nodes": nodes,
        "edges": [{"node": node, "cursor": cursor} for node, cursor in zip(nodes, cursors, strict=True)],
        "pageInfo": {
            "hasNextPage": after,
            "hasPreviousPage": before,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def of_list(docs: list[Doc], args: dict[str, Any], fits: Callable[[Doc], bool] = lambda doc: True) -> Doc:
    """A connection over a short list at hand (levels, addresses, metafields)."""
    size, from_end = page_size(args)
    docs = [doc for doc in docs if fits(doc)]
    if args.get("reverse"):
        docs = docs[::-1]
    places = list(range(len(docs)))
    if args.get("after"):
        places = [place for place in places if place > _decode(args["after"])[0]]
    if args.get("before"):
        places = [place for place in places if place < _decode(args["before"])[0]]
    chosen = places[-size:] if from_end and size else places[:size]
    return connection(
        [docs[place] for place in chosen],
        [_encode([place]) for place in chosen],
        before=bool(chosen) and chosen[0] > 0,
        after=bool(chosen) and chosen[-1] < len(docs) - 1,
    )


def of_records(
    database: sqlite3.Connection,
    shop: str,
    kind: str,
    args: dict[str, Any],
    *,
    where: str = "1",
    params: tuple[Any, ...] = (),
    warn: Callable[[list[dict[str, str]]], None] = lambda warnings: None,
) -> Doc:
    """A connection over the records of a kind; `query`, `sortKey`, `reverse`, `after` and `before` apply."""
    size, from_end = page_size(args)
    search = parse(kind, args.get("query"))
    warn(search.warnings)
    column = _SORTS.get(args.get("sortKey") or "", "id")
    key = "id" if column == "id" else f"coalesce({column}, ''), id"
    forward = bool(args.get("reverse")) == from_end  # the direction of the walk through the index
    direction = "" if forward else " DESC"
    condition, values = f"({where}) AND ({search.sql})", [*params, *search.params]
    for name, ahead in (("after", not args.get("reverse")), ("before", bool(args.get("reverse")))):
        if args.get(name):
            cursor = _decode(args[name])
            if len(cursor) != (1 if column == "id" else 2):
                raise bad_request("Invalid cursor for current pagination sort.")
            condition += f" AND ({key}) {'>' if ahead else '<'} ({', '.join('?' * len(cursor))})"
            values += cursor
    order = ", ".join(part + direction for part in key.rsplit(", ", 1))
    rows = find(database, shop, kind, condition, tuple(values), order=order, limit=size + 1)
    more, rows = len(rows) > size, rows[:size]
    if from_end:
        rows.reverse()
    return connection(
        [row.doc for row in rows],
        [_encode(_place(row, column)) for row in rows],
        before=more if from_end else bool(args.get("after")),
        after=bool(args.get("before")) if from_end else more,
    )


def _place(row: Record, column: str) -> list[Any]:
    return [row.id] if column == "id" else [getattr(row, column) or "", row.id]
