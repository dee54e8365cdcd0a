"""The platforms there are: every package that registers one under the entry point group `jobtrail.platforms`."""

from functools import cache
from importlib.metadata import entry_points

from platforms.adapter import Platform
from platforms.errors import UnknownChannel

GROUP = "jobtrail.platforms"


@cache
def platforms() -> dict[str, Platform]:
    """All platforms by name, the hub first."""
    found: list[Platform] = [point.load() for point in entry_points(group=GROUP)]
    return {one.name: one for one in sorted(found, key=lambda one: (one.role != "hub", one.name))}


def hub() -> Platform:
    """The platform that is the master of stock, prices and customers."""
    return next(one for one in platforms().values() if one.role == "hub")


def channels() -> dict[str, Platform]:
    """The platforms that are written from the hub, by name."""
    return {name: one for name, one in platforms().items() if one.role == "channel"}


def channel(name: str) -> Platform:
    """The channel of this name.

    Raises:
        UnknownChannel: no platform has this name, or it is the hub.
    """
    found = channels().get(name)
    if found is None:
        raise UnknownChannel(name, list(channels()))
    return found
