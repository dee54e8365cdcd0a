"""The peers' row for an event, as hand-written sinks build it: the event that is read last wins."""

from typing import Any

STATES = {"job.started.v1": "running", "job.progress.v1": "running", "job.finished.v1": "finished"}


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    """The columns that this event sets; None for values that it does not carry."""
    data = event["data"]
    state = STATES[event["type"]]
    counters = data.get("counters") or {}
    return {
        "job_id": event["subject"],
        "tenant": event["tenant"],
        "account": data["job"]["account"],
        "job_type": data["job"]["type"],
        "state": state,
        "phase": data.get("phase"),
        "outcome": data.get("outcome"),
        "total": counters.get("total", data.get("total")),
        "processed": counters.get("processed", 0),
        "successful": counters.get("successful", 0),
        "failed": counters.get("failed", 0),
        "skipped": counters.get("skipped", 0),
        "updated_at": event["time"],
        "finished_at": event["time"] if state == "finished" else None,
    }


def fold_into(rows: dict[str, dict[str, Any]], event: dict[str, Any]) -> None:
    """Merge an event into one row for each job: later values overwrite earlier ones."""
    new = row_of(event)
    held = rows.get(new["job_id"])
    if held is None:
        rows[new["job_id"]] = new
    else:
        held.update({name: value for name, value in new.items() if value is not None})
