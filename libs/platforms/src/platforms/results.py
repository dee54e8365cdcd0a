"""What the clients answer, the same for every platform."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platforms.errors import PlatformError

Json = dict[str, Any]

Wait = Callable[[float, str | PlatformError], None]
"""(seconds, reason): blocks that long; raises when the job is to stop, and the client lets that pass through.

The reason is the error after which a call is repeated, or words, where the wait is for a limit of our own.
"""


@dataclass(frozen=True)
class Page:
    """One page of a platform's own records.

    next: opaque and JSON-serialisable, to be handed back unchanged; None = this was the last page.
    total: how many there are in all, None = the platform does not say.
    """

    items: list[Json]
    next: Any | None
    total: int | None = None


@dataclass(frozen=True)
class ItemResult:
    """The outcome of one item of a write; `key` is the id (or composed key) the client documents."""

    key: str
    ok: bool
    error: PlatformError | None = None


@dataclass(frozen=True)
class CheckResult:
    """Whether a connection works; `detail` is a sentence for people."""

    ok: bool
    detail: str
    error: PlatformError | None = None


@dataclass(frozen=True)
class Exchange:
    """One HTTP exchange with secrets removed and bodies bounded to 64 KiB each.

    status is None (and error says why) when no answer came. duration_ms: from sending to the last byte.
    """

    method: str
    url: str
    request_body: str
    status: int | None
    response_body: str
    duration_ms: float
    error: str | None = None


OnExchange = Callable[[Exchange], None]
