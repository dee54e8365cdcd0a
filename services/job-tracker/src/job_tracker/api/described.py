"""What the published description says of answers that show jobs: every count is an integer."""

from typing import Any

from job_events.events import MAX_COUNT
from job_events.fold import STATUSES

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


COUNTERS = _object(
    {"total": _or_null(_COUNT), **dict.fromkeys(("processed", "successful", "failed", "skipped"), _COUNT)}
)
JOB = _object(
    {
        **dict.fromkeys(("job_id", "type", "tenant", "account", "chain", "priority", "requested_by", "health"), _TEXT),
        **dict.fromkeys(("parent", "batch", "retry_of", "phase", "worker", "error_category"), _or_null(_TEXT)),
        "state": {"enum": ["queued", "running", "finished"]},
        "outcome": _or_null(_TEXT),
        "status": {"enum": [*STATUSES]},
        "attempt": _COUNT,
        "counters": COUNTERS,
        "percent": _or_null({"type": "number", "minimum": 0, "maximum": 100}),
        "eta_seconds": _or_null({"type": "integer", "minimum": 0}),
        "duration_ms": _or_null(_COUNT),
        **dict.fromkeys(("created_at", "updated_at"), _TIME),
        **dict.fromkeys(("requested_at", "started_at", "finished_at"), _or_null(_TIME)),
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
