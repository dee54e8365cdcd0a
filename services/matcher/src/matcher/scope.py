"""Which platforms a job matches, and the errors that end a match job before it begins."""

from matcher.store.snapshots import Scope
from platforms import registry
from platforms.adapter import Kind
from platforms.errors import UnknownChannel
from worker.errors import JobFailed
from worker.job import RunningJob


def scope_of(job: RunningJob, kind: Kind, platform: str) -> Scope:
    """The records that a job is about.

    Raises:
        JobFailed: `platform` is no channel.
    """
    try:
        channel = registry.channel(platform)
    except UnknownChannel as error:
        raise JobFailed("VALIDATION_FAILED", "UNKNOWN_CHANNEL", f"params.platform: {error}") from None
    return Scope(job.tenant, job.account, kind, channel.name, registry.hub().name)


def nothing_pulled() -> JobFailed:
    """The catalogue's views do not exist."""
    return JobFailed("NOT_FOUND", "NO_CATALOGUE", "Nothing has ever been pulled: run the pulls of this account first.")
