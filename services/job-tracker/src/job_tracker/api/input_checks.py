"""Checks of every request before its route reads it: parameters, headers and the JSON of its body.

Unknown or repeated fields and invalid text are refused, with their names.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request

from job_tracker.errors import Problem

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_LONGEST_NAME = 100  # characters of a name that a sentence repeats
Faults = list[tuple[str, str]]


class _Repeated(dict[str, Any]):
    """A JSON object in which `name` came more than once."""

    name = ""


async def check_input(request: Request) -> None:
    """Refuse what the OpenAPI document does not know, what is repeated, and invalid text.

    Raises:
        Problem: 422, naming each parameter, header or field.
    """
    address = request.scope["route"].path_format
    described: dict[str, Any] | None = request.app.openapi()["paths"].get(address, {}).get(request.method.lower())
    if described is None:
        return
    parameters = described.get("parameters", ())
    query: list[tuple[str, bytes]] = list(_query(request.scope["query_string"]))
    _check_path(request)
    _check_query(address, query, {one["name"]: one for one in parameters if one["in"] == "query"})
    _check_headers(request, {one["name"].lower(): one["name"] for one in parameters if one["in"] == "header"})
    await _check_body(request, takes_one="requestBody" in described)


def _query(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and values as they were sent, escapes resolved."""
    for part in raw.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            yield unquote_to_bytes(name).decode(errors="backslashreplace"), unquote_to_bytes(value)


def _check_path(request: Request) -> None:
    raw = request.scope.get("raw_path") or b""
    if _fault(unquote_to_bytes(raw.partition(b"?")[0])) is None:
        return
    # The server has replaced what is no UTF-8.
    names = [name for name, value in request.path_params.items() if "\0" in str(value) or "\ufffd" in str(value)]
    _refuse([(name, "is no valid text (UTF-8 without U+0000)") for name in names or ["path"]])


def _check_query(address: str, query: list[tuple[str, bytes]], known: dict[str, Any]) -> None:
    if unknown := sorted({name for name, _ in query} - known.keys()):
        there_are = f"there are {', '.join(sorted(known))}" if known else "it takes none"
        detail = f"{address} knows no parameter {', '.join(name[:_LONGEST_NAME] for name in unknown)}; {there_are}"
        raise Problem(422, detail, [(name[:_LONGEST_NAME], "is unknown") for name in unknown])
    _refuse([(name, fault) for name, value in query if (fault := _fault(value))])
    counted = Counter(name for name, _ in query)
    _refuse([(name, "is given more than once") for name in counted if counted[name] > 1 and not _is_list(known[name])])


def _is_list(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))


def _check_headers(request: Request, known: dict[str, str]) -> None:
    sent = [(known[name], value) for raw, value in request.headers.raw if (name := raw.decode("latin-1")) in known]
    _refuse([(name, fault) for name, value in sent if (fault := _fault(value))])
    counted = Counter(name for name, _ in sent)
    _refuse([(name, "is given more than once") for name in counted if counted[name] > 1])


def _fault(value: bytes) -> str | None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "is no valid UTF-8"
    return "holds U+0000" if "\0" in text else None


async def _check_body(request: Request, *, takes_one: bool) -> None:
    if not takes_one:
        async for piece in request.stream():
            if piece:
                _refuse([("body", f"{request.method} of this address takes none")])
        return
    if not (body := await request.body()):
        return
    try:
        value = json.loads(body, object_pairs_hook=_object)
        found = next(_faults(value, ""), None)
    except RecursionError:
        found = ("body", "nests too deeply")
    except ValueError:
        return  # no JSON: the route says so
    if found is not None:
        _refuse([found])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) == len(pairs):
        return held
    repeated = _Repeated(held)
    repeated.name = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return repeated


def _faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """What is wrong in a JSON value, by its path: `then[0].params.only[2]`."""
    match value:
        case str() if found := _NO_TEXT.search(value):
            yield path or "body", f"holds U+{ord(found[0]):04X}, which is no text that can be stored"
        case float() if not math.isfinite(value):
            yield path or "body", "is no finite number"
        case dict():
            if isinstance(value, _Repeated):
                yield f"{path}.{_name(value.name)}".lstrip("."), "is given more than once"
            for name, held in value.items():
                here = f"{path}.{_name(name)}".lstrip(".")
                if _NO_TEXT.search(name):
                    yield here, "is a name that is no text that can be stored"
                yield from _faults(held, here)
        case list():
            for index, held in enumerate(value):
                yield from _faults(held, f"{path}[{index}]")
        case _:
            pass


def _name(name: str) -> str:
    return _NO_TEXT.sub("\ufffd", name[:_LONGEST_NAME])


def _refuse(faults: Faults) -> None:
    if faults:
        raise Problem(422, "; ".join(f"{name}: {reason}" for name, reason in faults), faults)
