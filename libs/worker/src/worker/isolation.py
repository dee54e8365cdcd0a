"""The attempts of one process, and the rule that a suspect runs alone.

A process that dies takes all its jobs with it, and only one of them is the cause. All become suspects. A process runs
one suspect at a time, and claims no other job until it has moved its checkpoint or ended. Beside it are at most jobs
that have made a step in their present attempt; once a crash was charged to it, none: they are given back at their
checkpoints. So a crash is charged to the job that caused it, and innocent jobs lose their suspicion.
"""

import threading

import structlog

from worker.errors import Interrupted, MakingRoom
from worker.job import RunningJob

log = structlog.get_logger(__name__)
ROOM_SECONDS = 60.0  # that the other jobs have to reach a checkpoint
_LOOK = 0.2


class RunningJobs:
    """Attempts, not jobs: after a long pause this process may run the next attempt beside the one it lost."""

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
        """Whether no other job may begin here."""
        return any(job.suspect for job in self.all())

    def interrupt_all(self, reason: Interrupted) -> None:
        for job in self.all():
            job.interrupt(reason)

    def make_room(self, suspect: RunningJob) -> None:
        """Give other jobs back, and wait until they are, ROOM_SECONDS at most.

        With one that does not stop by then it runs together, so that it is run at all; a crash is then charged to
        neither, and both are suspects.

        Raises:
            Interrupted: the suspect itself must stop.
        """
        left = ROOM_SECONDS
        while left > 0:
            suspect.check()
            with self._changed:
                others = [job for job in self._jobs if _disturbs(job, suspect)]
                if not others:
                    return
                for job in others:
                    job.interrupt(MakingRoom(f"job {suspect.id} must run alone"))
                self._changed.wait(_LOOK)
            left -= _LOOK
        log.warning("suspect does not run alone: another job does not stop", job=suspect.id)


def _disturbs(job: RunningJob, suspect: RunningJob) -> bool:
    """Whether a crash would not be known to come from the suspect."""
    if job.id == suspect.id or job.only_ends:
        # An attempt that the suspect itself has lost; a job that runs no code.
        return False
    return suspect.crashes > 0 or not job.stepped
