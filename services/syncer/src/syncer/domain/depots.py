"""Which depot of the hub belongs to which location of the channel, or why that is not known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from platforms.adapter import Location

_SHOWN: Final = 20  # depots or locations that a sentence names
_FORM: Final = 'it maps each depot\'s id to a location\'s id, such as {"120001": "90100000001"}'


def map_problem(depot_locations: Mapping[str, str], location_id: Callable[[str], str]) -> str | None:
    """Why a depot map cannot be right, whatever locations the channel has. location_id: raises ValueError for text that
    is no location's id.
    """
    bad = [place for place in depot_locations.values() if not _is_location(place, location_id)]
    if not bad:
        return None
    return f"depot_locations names {_listed([repr(one) for one in bad])}, which is no location id: {_FORM}"


def _is_location(place: str, location_id: Callable[[str], str]) -> bool:
    try:
        return location_id(place) != ""
    except ValueError:
        return False


def unknown_depots(depot_locations: Mapping[str, str], depots: Sequence[str]) -> str:
    """The sentence for a map that names none of the depots that the catalogue has."""
    return (
        f"depot_locations names {_listed(sorted(depot_locations))}, and Nhanh's catalogue has stock at "
        f"{_listed(depots)} only: {_FORM}"
    )


def depots_since_pull(depots: Sequence[str]) -> str:
    """The sentence for depots that the hub has and the catalogue does not."""
    return (
        f"Nhanh has stock at {_listed(depots)}, which the last pull did not read, and depot_locations does not say "
        f"where stock goes: pull again, or set depot_locations"
    )


def is_plain(depots: Sequence[str], locations: Sequence[object]) -> bool:
    """Whether without a map there is one way only: one depot at most, and one location."""
    return len(depots) <= 1 and len(locations) == 1


def choices(depots: Sequence[str], locations: Sequence[Location]) -> str:
    """The sentence that refuses a sync without a map, with everything that a map can name."""
    places = [f"{one.short_id or one.id} ({one.name})" for one in locations]
    example = f'{{"{depots[0]}": "{locations[0].short_id or locations[0].id}"}}'
    return (
        f"the account does not say which depot's stock goes to which location: Nhanh has {_count(depots, 'depot')} "
        f"({_listed(depots)}), the shop {_count(locations, 'location')} ({_listed(places)}). Set depot_locations, such "
        f'as {example}; or set unmapped_depots to "sum", which writes the sum of all depots to '
        f"{locations[0].name or places[0]}; or set write.stock to false"
    )


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
