"""Waiting for a condition, as long as a machine that is several times too busy may need."""

import time
from collections.abc import Callable

PATIENCE = 240.0  # seconds
_POLL = 0.05  # seconds


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + patience
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
        raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
