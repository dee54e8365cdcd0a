"""What the tracker keeps, and for how long; once an hour the oldest goes.

History goes a day's table at a time. Items, dead letters and idempotency keys go in batches, each in a
transaction of its own, so that nobody waits for them. The job rows stay.
"""

from datetime import UTC, datetime, time, timedelta

from job_tracker.settings import Settings


def history_since(now: datetime, settings: Settings) -> datetime:
    """Where the kept history begins: a midnight in UTC."""
    day = now.astimezone(UTC).date() - timedelta(days=settings.jobtrail_history_days)
    return datetime.combine(day, time(), UTC)
