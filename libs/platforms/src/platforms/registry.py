"""The platforms there are: every package that registers one under the entry point group `jobtrail.platforms`."""

from functools import cache
from importlib.metadata import entry_points

from job_events.job_types import PLATFORM_GROUP
from platforms.adapter import Platform
from platforms.errors import InvalidAccount, UnknownChannel


@cache
def platforms() -> dict[str, Platform]:
    """All platforms by name, the hub first."""
    found: dict[str, Platform] = {point.name: point.load() for point in entry_points(group=PLATFORM_GROUP)}
    for name, one in found.items():
        if one.name != name:
            raise InvalidAccount("platform", f"the entry point {name!r} registers a platform named {one.name!r}")
    return dict(sorted(found.items(), key=lambda pair: (pair[1].role != "hub", pair[0])))


def platform(name: str) -> Platform:
    """The platform of that name. Raises InvalidAccount, which names the ones that there are."""
    found = platforms().get(name)
    if found is None:
        raise InvalidAccount("platform", f"must be one of {', '.join(platforms())}")
    return found


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
