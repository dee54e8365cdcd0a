"""Kill a supervised process, and know that this kill ended it."""

import psutil
from tests.chaos.waiting import wait_for


def kill(pid: int) -> bool:
    """SIGKILL, and wait until it is dead. False where it was dead before, and so nothing was done.

    Raises:
        TimeoutError
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.kill()
    except psutil.NoSuchProcess:
        return False
    wait_for(lambda: not _alive(process), f"the end of process {pid}")
    return True


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
