"""Every error of the worker runtime on one screen."""

from job_events.errors import Category, JobtrailError


class WorkerError(JobtrailError):
    """Base of everything the worker runtime raises on purpose."""


class JobFailed(WorkerError):
    """Raised by a job's own code to end it as `failure` with a category that people can act on."""

    def __init__(self, category: Category, code: str, message: str) -> None:
        super().__init__(message)
        self.category: Category = category
        self.code = code
        self.message = message


class Interrupted(WorkerError):
    """The job must stop at the next safe point; the worker loop decides how its row goes on."""


class JobCancelled(Interrupted):
    """Somebody asked for the end of the job."""


class JobPaused(Interrupted):
    """The job, its account or its queue was paused: the row goes back and waits."""


class WorkerStopping(Interrupted):
    """The process got SIGTERM: the row goes back at its checkpoint for another worker."""


class MakingRoom(Interrupted):
    """The row goes back at its checkpoint, because a job that may have crashed a process must run alone."""


class LeaseLost(Interrupted):
    """Another worker owns a later attempt; nothing more may be written by this one."""
