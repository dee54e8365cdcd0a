"""Every error of the worker runtime."""

from job_events.errors import Category, JobtrailError


class WorkerError(JobtrailError):
    """Base of every error that the worker runtime raises on purpose."""


class JobFailed(WorkerError):
    """Raised by a job's own code to end the job as `failure`, with a category that people can act on."""

    def __init__(self, category: Category, code: str, message: str) -> None:
        super().__init__(message)
        self.category: Category = category
        self.code = code
        self.message = message


class Interrupted(WorkerError):
    """The attempt must stop at the next safe point; the worker loop decides what becomes of the row."""


class JobCancelled(Interrupted):
    """The job was cancelled."""


class JobPaused(Interrupted):
    """The job, its account or its queue was paused: the row is requeued and waits."""


class WorkerStopping(Interrupted):
    """The process got SIGTERM: the row is requeued at its checkpoint for another worker."""


class SuspectRunsAlone(Interrupted):
    """The row is requeued at its checkpoint, because a job that may have crashed a process must run alone."""


class LeaseLost(Interrupted):
    """Another worker owns a later attempt; this attempt may not write any more."""


class JobDeferred(Interrupted):
    """The attempt would wait for too long: the row gives its thread back and sleeps for `seconds`.

    exact: somebody named the time, so that the row sleeps just as long; otherwise for longer each time.
    The cause, where there is one, is the error that makes the job wait.
    """

    def __init__(self, seconds: float, reason: str, *, exact: bool = True) -> None:
        super().__init__(f"waits {seconds:g} s: {reason}")
        self.seconds = seconds
        self.reason = reason
        self.exact = exact


class JobTimedOut(Interrupted):
    """The attempts of the job have run for longer than the deadline of its type."""
