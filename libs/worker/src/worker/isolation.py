"""The attempts of one process, and the rule that a suspect runs alone.

A process that dies interrupts all its jobs, and only one of them is the cause: all become suspects. A process runs one
suspect at a time and claims no other job until the suspect has moved its checkpoint or ended. Only jobs that have made
progress in their present attempt may run beside it, and none once a crash was counted for it: they are requeued at
their checkpoints. So a crash is counted for the job that caused it, and the other jobs stop being suspects.
"""

import threading

import structlog

from worker.errors import Interrupted, SuspectRunsAlone
from worker.job import RunningJob

log = structlog.get_logger(__name__)
ISOLATION_SECONDS = 60.0  # for the other jobs to reach a checkpoint
_CHECK_SECONDS = 0.2


class RunningJobs:
    """A set of attempts, not of jobs: after a long pause a process may run the next attempt beside the lost one."""

    def __init__(self) -> None:
        self._jobs: set[RunningJob] = set()
        self._changed = threading.Condition()

    def add(self, job: RunningJob) -> None:
        with self._changed:
            self._jobs.add(job)

    def discard(self, job: RunningJob) -> None:
        with self._changed:
            self._jobs.discard(job)
            self._changed.notify_all()

    def all(self) -> list[RunningJob]:
        with self._changed:
            return list(self._jobs)

    def has_suspect(self) -> bool:
        """Whether a suspect runs here, so that no other job may begin."""
        return any(job.suspect for job in self.all())

    def interrupt_all(self, reason: Interrupted) -> None:
        for job in self.all():
            job.interrupt(reason)

    def isolate(self, suspect: RunningJob) -> None:
        """Interrupt the other jobs and wait until they have stopped, ISOLATION_SECONDS at most.

        The suspect then runs beside a job that has not stopped, so that it runs at all; a crash is then counted for
        neither, and both are suspects.

        Raises:
            Interrupted: the suspect itself must stop.
        """
        left = ISOLATION_SECONDS
        while left > 0:
            suspect.check()
            with self._changed:
                others = [job for job in self._jobs if _hides_the_cause(job, suspect)]
                if not others:
                    return
                for job in others:
                    job.interrupt(SuspectRunsAlone(f"job {suspect.id} must run alone"))
                self._changed.wait(_CHECK_SECONDS)
            left -= _CHECK_SECONDS
        log.warning(
            "suspect does not run alone", job=suspect.id, running=[job.id for job in self.all() if job.id != suspect.id]
        )


def _hides_the_cause(job: RunningJob, suspect: RunningJob) -> bool:
    """Whether a crash of both could not be attributed to the suspect."""
    if job.id == suspect.id or job.only_ends:
        # An earlier attempt of the suspect itself; a job that runs no code.
        return False
    return suspect.crashes > 0 or not job.stepped
