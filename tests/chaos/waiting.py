"""Wait for a condition, with a limit that an overloaded machine does not reach."""

import time
from collections.abc import Callable

WAIT_SECONDS = 240.0  # seconds
_POLL = 0.05  # seconds


def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Whether the condition became true within this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition is true.

    Raises:
        TimeoutError
    """
    if not until(condition):
        raise TimeoutError(f"waited {WAIT_SECONDS:.0f} s for {what}")
