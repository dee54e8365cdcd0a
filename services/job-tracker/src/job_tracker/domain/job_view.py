"""A job as the API shows it, from its row in `tracker.job`."""

from datetime import datetime
from typing import Any

import msgspec

from job_tracker.domain.health import NO_SIGNALS, Health, HealthSignals, health, last_signal
from job_tracker.domain.job_row import COUNTERS, SHOWN

Row = dict[str, Any]
YEAR = 366 * 86_400  # seconds


def summary(row: Row, now: datetime, signals: HealthSignals = NO_SIGNALS) -> Row:
    """The row as lists show it; `signals` are needed of an unfinished job.

    Times are UTC, `duration_ms` milliseconds, `eta_seconds` seconds from `now`.
    """
    return {column.shown_as: row[column.name] for column in SHOWN} | {
        "health": health_of(row, now, signals),
        "phase": row["p_phase"] if row["state"] == "running" else None,
        "counters": {name: row[name] for name in COUNTERS},
        "percent": percent(row),
        "eta_seconds": eta_seconds(row, now),
    }


def detail(row: Row, now: datetime, signals: HealthSignals = NO_SIGNALS) -> Row:
    """Everything known of one job."""
    request = _read(row["r_body"])
    progress, end = _read(row["p_body"]), _read(row["e_body"])
    return (
        summary(row, now, signals)
        | how_it_ended(row["e_body"])
        | {
            "about": request.get("job", {}).get("about"),
            "params": request.get("params"),
            "then": request.get("then"),
            "parents": parents(row),
            "metadata": (end or progress).get("metadata") or {},
            "error": end.get("error"),
            "remaining_then": end.get("then") or [],
            "last_sign_at": last_event_at(row)
            if row["state"] == "finished"
            else last_signal(last_event_at(row), signals, now),
        }
    )


def how_it_ended(body: str | None) -> Row:
    """Of a finished event's body: `error_code`, which says more than the category, and `held`, the items held back."""
    end = _read(body)
    held = (end.get("metadata") or {}).get("held")
    return {
        "error_code": (end.get("error") or {}).get("code"),
        "held": held if isinstance(held, int) and not isinstance(held, bool) else None,
    }


def parents(row: Row) -> list[str]:
    """The jobs that this one grew from."""
    listed = _read(row["r_body"]).get("parents") or []
    return list(dict.fromkeys([*listed, *([row["parent"]] if row["parent"] else [])]))


def health_of(row: Row, now: datetime, signals: HealthSignals) -> Health:
    """The word for the job of a row; `signals` are needed of an unfinished one."""
    return health(row["state"], last_signal(last_event_at(row), signals, now), now, paused=signals.paused)


def last_event_at(row: Row) -> datetime:
    """The time of its latest start or progress by its own clocks, else of its creation."""
    signals = [at for at in (row["s_at"], row["p_at"]) if at is not None]
    return max(signals) if signals else row["created_at"]


def percent(row: Row) -> float | None:
    """0 to 100, one decimal; None while the total is unknown."""
    if row["outcome"] in {"success", "partial"}:
        return 100.0
    if not row["total"]:
        return None
    return min(100.0, round(100 * row["processed"] / row["total"], 1))


def eta_seconds(row: Row, now: datetime) -> int | None:
    """From the rate of this attempt; None where it cannot be known, or where it is more than a year.

    From the second attempt on it cannot: they start with the counters of those before.
    """
    if row["state"] != "running" or row["attempt"] > 1 or not row["total"] or not row["processed"]:
        return None
    if row["s_at"] is None or row["p_at"] is None or row["p_at"] <= row["s_at"]:
        return None
    per_item = (row["p_at"] - row["s_at"]).total_seconds() / row["processed"]
    left = max(row["total"] - row["processed"], 0)
    seconds = max(0, round(per_item * left - (now - row["p_at"]).total_seconds()))
    return seconds if seconds <= YEAR else None


def _read(body: str | None) -> Row:
    return msgspec.json.decode(body) if body else {}
