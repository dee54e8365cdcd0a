"""Every error of the command line. The message is one sentence: what is wrong, with which object, and what to do."""

from job_events.errors import JobtrailError


class UserError(JobtrailError):
    """A person can correct this. `status` is the exit status of the command."""

    status = 1


class TrackerUnreachable(UserError):
    """The API does not answer, or a server that it needs does not; a later request may succeed."""


class NotFound(UserError):
    """The API does not hold the object; one that was just requested may not be there yet."""
