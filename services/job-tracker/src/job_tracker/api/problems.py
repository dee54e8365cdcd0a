"""Errors as RFC 9457 problem details, each naming the field that is wrong."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from job_events.errors import InvalidRequest
from job_tracker.errors import Problem, UnknownSchedule

log = structlog.get_logger()
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
EARLIER = "/api/"
"""The paths of the earlier system begin with it. Its clients read `success` and `error` of a body."""
WITHOUT_HEAD = {"/stream"}
"""Routes that take GET and not HEAD: their response has no end."""

_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "success": {"const": False, "description": "on the addresses of the earlier system"},
        "error": {"type": "string", "description": "`detail`, on the addresses of the earlier system"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
DESCRIBED: dict[int | str, dict[str, Any]] = {
    kind: {
        "description": f"A problem (RFC 9457): {whose}",
        "content": {"application/problem+json": {"schema": _SCHEMA}},
    }
    for kind, whose in (("4XX", "the request is wrong"), ("5XX", "the system, or a part of it, is away"))
}
"""For the OpenAPI document: the errors that every route may answer with."""


class Json(Response):
    """JSON by msgspec, which knows datetimes, decimals and the contract's structs."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def problem_response(problem: Problem, headers: dict[str, str] | None = None, path: str = "") -> Response:
    """The response for a problem of a request to `path`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [{"field": field, "reason": reason} for field, reason in problem.errors]
    if path.startswith(EARLIER):
        body |= {"success": False, "error": problem.detail}
    return Json(body | problem.more, problem.status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer with a problem to every error of `app`."""

    def answer(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
        return problem_response(problem, headers, request.url.path)

    def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - registered for this class
        return answer(request, error)

    def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, InvalidRequest)  # noqa: S101 - registered for this class
        return answer(request, Problem(422, str(error), [(error.field, error.reason)]))

    def on_unknown_schedule(request: Request, error: Exception) -> Response:
        return answer(request, Problem(404, str(error), [("schedule_id", "is unknown")]))

    def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        found = [(_field(one["loc"]), str(one["msg"])) for one in error.errors()]
        return answer(request, Problem(422, "; ".join(f"{field}: {reason}" for field, reason in found), found))

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # The router names those of one of the address's routes only.
            headers["Allow"] = ", ".join(allowed_methods(request))
        return answer(request, Problem(error.status_code, str(error.detail)), headers)

    def on_database(request: Request, error: Exception) -> Response:
        log.warning("PostgreSQL unavailable", reason=str(error))
        return answer(request, Problem(503, "PostgreSQL does not answer; try again soon"), {"Retry-After": "2"})

    def on_other_version(request: Request, error: Exception) -> Response:
        # During a rolling update the API may be newer, or older, than the service whose views it reads.
        reason = str(error).splitlines()[0]
        log.warning("incompatible tables", reason=reason)
        detail = f"the tables are of another version than this API ({reason}); it passes when every service is updated"
        return answer(request, Problem(503, detail), {"Retry-After": "10"})

    def on_data(request: Request, error: Exception) -> Response:
        return answer(request, Problem(422, f"a value cannot be looked for: {str(error).splitlines()[0]}"))

    def on_crash(request: Request, error: Exception) -> Response:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return answer(request, Problem(500, "this is a fault of the server; it is in its log"))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(InvalidRequest, on_invalid)
    app.add_exception_handler(UnknownSchedule, on_unknown_schedule)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    for kind in (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError):
        app.add_exception_handler(kind, on_database)
    for kind in (UndefinedTable, UndefinedColumn):
        app.add_exception_handler(kind, on_other_version)
    app.add_exception_handler(psycopg.DataError, on_data)
    app.add_exception_handler(Exception, on_crash)


def allowed_methods(request: Request) -> list[str]:
    """The methods that the path of `request` takes."""
    found = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return sorted([*found, "HEAD"] if "GET" in found and request.scope["path"] not in WITHOUT_HEAD else found)


def _field(location: Sequence[Any]) -> str:
    """`body.then[0].type` from ("body", "then", 0, "type"); the body itself is not named."""
    parts = [part for part in location if part not in {"body", "query", "path", "header"}]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    return text or str(location[-1] if location else "body")
