"""What a projector says of itself: the heartbeat writes it down, readiness reads it."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

STUCK_AFTER = 60.0  # seconds without one turn of the loop, and nothing known that it waits for


class Status:
    """Shared by the loop's thread and the heartbeat's. `monotonic` gives seconds that never jump."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._missing: dict[str, str] = {}
        self._turned: float | None = None
        self._stopped: str | None = None

    def turned(self) -> None:
        """The loop went round once more."""
        self._turned = self._monotonic()

    def away(self, what: str, reason: str) -> None:
        """A server is away; each reason is logged once in a row until it is back."""
        with self._lock:
            known = self._missing.get(what)
            self._missing[what] = reason
        if known != reason:
            log.warning("waiting", server=what, reason=reason)

    def present(self, what: str) -> None:
        """A server answered."""
        if what not in self._missing:
            return
        with self._lock:
            self._missing.pop(what, None)
        log.info("continuing", server=what)

    def stopped(self, reason: str) -> None:
        """The projector ends for a reason that only people can mend."""
        self._stopped = reason

    def read(self) -> tuple[str, str]:
        """The state (starting, running, waiting, stuck or stopped) and a sentence about it."""
        if self._stopped is not None:
            return "stopped", self._stopped
        with self._lock:
            missing = dict(self._missing)
        if missing:
            return "waiting", "; ".join(f"{what} is away: {reason}" for what, reason in sorted(missing.items()))
        if self._turned is None:
            return "starting", ""
        silent = self._monotonic() - self._turned
        if silent > STUCK_AFTER:
            return "stuck", f"no turn of the loop for {silent:.0f} s"
        return "running", ""
