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
    return _response(200, "As of `freshness`", _object({**properties, "freshness": FRESHNESS}))


def _response(status: int, description: str, schema: Schema) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}


_SCHEDULE = {
    **dict.fromkeys(("schedule_id", "tenant", "timezone", "words", "paused_reason", "created_by", "updated_by"), _TEXT),
    **dict.fromkeys(("account", "type", "chain", "cron"), _or_null(_TEXT)),
    **dict.fromkeys(("created_at", "updated_at"), _TIME),
    **dict.fromkeys(("jitter_seconds", "catch_up_limit"), _COUNT),
    "params": {"type": "object"},
    "every_seconds": _or_null(_COUNT),
    "catch_up": {"enum": ["skip", "one", "all"]},
    "paused": {"type": "boolean"},
    "next_runs": _list(_TIME),
}
_RUN = {
    **dict.fromkeys(("account", "reason"), _TEXT),
    "planned_at": _TIME,
    "state": {"enum": ["planned", "requested", "sent", "skipped"]},
    "sent_at": _or_null(_TIME),
    "job_ids": _list(_TEXT),
    "jobs": _list(
        _object(
            dict.fromkeys(("job_id", "type", "state", "status"), _TEXT) | {"outcome": _or_null(_TEXT)},
        )
    ),
}
_SCHEDULER = _object({"last_tick": _or_null(_TIME), "alive": {"type": "boolean"}})


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
SCHEDULES_PAGE = answers(schedules=_list(_object(_SCHEDULE)), scheduler=_SCHEDULER, **_PAGE)
ONE_SCHEDULE = answers(schedule=_object(_SCHEDULE), runs=_list(_object(_RUN)), scheduler=_SCHEDULER)
MADE_SCHEDULE = _response(201, "The schedule", _object({"schedule": _object(_SCHEDULE)}))
CHANGED_SCHEDULE = _response(200, "The schedule as it is now", _object({"schedule": _object(_SCHEDULE)}))
