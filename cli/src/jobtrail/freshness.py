"""What the tracker's answers say of their own freshness, for people."""

from jobtrail.tracker import Json

NO_PROJECTOR = "no projector is at work"
LATE_SECONDS = 5.0  # the API gives a silent projector as long before it calls it dead


def staleness(freshness: Json) -> str:
    """How far behind an answer is, and why; nothing for one that is fresh, or that says nothing of it."""
    if not freshness:
        return ""
    alive, lag = freshness["alive"], freshness["lag_seconds"]
    if alive and lag is not None and lag < LATE_SECONDS:
        return ""
    since = "as of an unknown time" if lag is None else f"as of {freshness['as_of']}, {lag:,.0f} s behind"
    missing = f", {freshness['lag_events']:,} events missing" if freshness["lag_events"] else ""
    return since + missing + ("" if alive else f"; {NO_PROJECTOR}")
