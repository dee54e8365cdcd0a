"""How much of its rate limit each shop used, from the request log, a window at a time, and how often it was refused.

Nhanh counts calls per URL: a window begins with the first call after the one before, as the limit itself counts.
Shopify counts points: its windows are slices of the time since the first call; the first one holds the full bucket too.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from sandbox.requestlog import Entry
from sandbox.shops import Shop

SLICE_SECONDS: Final = 10.0
_TOO_MANY: Final = frozenset({"ERR_429", "THROTTLED", "HTTP 429"})


class Window(msgspec.Struct, kw_only=True):
    """One window. began, last: unix seconds of its begin and of its last call; used, allowed: calls or points.

    refused: answers of "too many" that the calls themselves caused; injected: those of faults.
    """

    began: float
    last: float
    allowed: float
    used: float = 0
    refused: int = 0
    injected: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """All windows of one limit. key: the URL whose calls Nhanh counts; empty for Shopify's one bucket a shop."""

    platform: str
    account: str
    key: str
    windows: list[Window]
    allowed: float = 0
    used: float = 0
    refused: int = 0
    injected: int = 0


def usages(entries: Iterable[Entry], shops: Iterable[Shop]) -> list[Usage]:
    """The use of every limit that the entries met, by the limits that the shops have now."""
    known = {(shop.platform, shop.account): shop for shop in shops}
    found: dict[tuple[str, str, str], Usage] = {}
    for entry in entries:
        shop = known.get((entry.platform, entry.account or ""))
        if shop is None:
            continue
        key = entry.path if entry.platform == "nhanh" else ""
        usage = found.setdefault(
            (entry.platform, shop.account, key),
            Usage(platform=entry.platform, account=shop.account, key=key, windows=[]),
        )
        _count(_window(usage, shop, entry.time), entry)
    for usage in found.values():
        usage.allowed = sum(window.allowed for window in usage.windows)
        usage.used = sum(window.used for window in usage.windows)
        usage.refused = sum(window.refused for window in usage.windows)
        usage.injected = sum(window.injected for window in usage.windows)
    return [found[key] for key in sorted(found)]


def _window(usage: Usage, shop: Shop, time: float) -> Window:
    """The window of a call at `time`; calls come in the order of their times."""
    for began, allowed in _next_windows(usage, shop, time):
        usage.windows.append(Window(began=began, last=time, allowed=allowed))
    window = usage.windows[-1]
    window.last = max(window.last, time)
    return window


def _next_windows(usage: Usage, shop: Shop, time: float) -> Iterator[tuple[float, float]]:
    last = usage.windows[-1].began if usage.windows else None
    if usage.platform == "nhanh":
        if last is None or time - last >= shop.nhanh.window_seconds:
            yield time, shop.nhanh.calls
        return
    points = shop.shopify.restore_rate * SLICE_SECONDS
    if last is None:
        yield time, points + shop.shopify.bucket
        return
    while time - last >= SLICE_SECONDS:
        last += SLICE_SECONDS
        yield last, points


def _count(window: Window, entry: Entry) -> None:
    if _TOO_MANY.intersection(entry.errors):
        if entry.faults:
            window.injected += 1
        else:
            window.refused += 1
    elif entry.cost is not None:
        window.used += entry.cost
