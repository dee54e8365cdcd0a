"""The events that the local stack reports while it works, so that a caller can show progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EventKind = Literal["download", "format", "start", "ready", "died", "restarted", "ended", "note"]


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One step. `download` comes repeatedly with `done` of `total` (jars); the others come once each."""

    kind: EventKind
    service: str
    message: str
    done: int | None = None
    total: int | None = None


Report = Callable[[StackEvent], None]


def silent(_event: StackEvent) -> None:
    """Report nothing."""
