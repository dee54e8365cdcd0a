"""The JSON Schemas of answers that show jobs, for the OpenAPI document. Every count is an integer."""

from typing import Any

from job_events.events import MAX_COUNT
from job_tracker.domain.job_row import COUNTERS, SHOWN, Column

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_COUNT}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _column(column: Column) -> Schema:
    """The values that a column's field can have."""
    schema: Schema = {"enum": [*column.values]} if column.values else _OF_TYPE[column.type]
    return _or_null(schema) if column.can_be_null else schema


_OF_TYPE: dict[str, Schema] = {"text": _TEXT, "timestamptz": _TIME, "int4": _COUNT, "int8": _COUNT}
JOB = _object(
    {column.shown_as: _column(column) for column in SHOWN}
    | {
        "health": _TEXT,
        "phase": _or_null(_TEXT),
        "counters": _object({name: _or_null(_COUNT) if name == "total" else _COUNT for name in COUNTERS}),
        "percent": _or_null({"type": "number", "minimum": 0, "maximum": 100}),
        "eta_seconds": _or_null({"type": "integer", "minimum": 0}),
    }
)
FRESHNESS = _object(
    {
        "token": _TEXT,
        "as_of": _or_null(_TIME),
        "lag_events": {"type": "integer", "minimum": 0},
        "lag_seconds": _or_null({"type": "number", "minimum": 0}),
        "alive": {"type": "boolean"},
        "state": _TEXT,
    }
)
_PAGE = {
    "next": _or_null(_TEXT),
    "total": {"type": "integer", "minimum": 0},
    "total_exact": {"type": "boolean"},
    "total_text": _TEXT,
    "partial": {"type": "boolean"},
}


def answers(**properties: Schema) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: a 200 with these members and its freshness."""
    schema = _object({**properties, "freshness": FRESHNESS})
    return {200: {"description": "As of `freshness`", "content": {"application/json": {"schema": schema}}}}


JOBS_PAGE = answers(jobs=_list(JOB), **_PAGE)
ONE_JOB = answers(job=JOB)
FAMILY = answers(job=JOB, **dict.fromkeys(("parents", "children", "retries", "chain"), _list(JOB)))
STATS = answers(
    jobs=_COUNT,
    by_status={"type": "object", "additionalProperties": _COUNT},
    by_type=_list(
        {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, _TEXT]}, "required": ["job_type"]}
    ),
    by_day=_list(_object({"day": _TEXT, "status": _TEXT, "jobs": _COUNT})),
)
