"""Restricts a decision to chosen records of the hub: the rows of all others stay as they are."""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from matcher.domain.candidates import LABELS, Method, Pair
from matcher.domain.mappings import Match
from matcher.domain.resolution import NAMES_WAIT, Decision


def of_chosen(decision: Decision, rows: Iterable[Match], chosen: Collection[str]) -> Decision:
    """What a decision on all records means for the chosen ones.

    Where a whole run would end the link of another record and give its partner to a chosen one, the pair waits for a
    person: the other record was not asked for.
    """
    taken = {
        row.remote_id: row.hub_id for row in rows if row.status in {"auto", "confirmed"} and row.hub_id not in chosen
    }
    links = [one for one in decision.links if one.hub_id in chosen]
    reviews = [one for one in decision.reviews if one.hub_id in chosen]
    held = [
        replace(
            one,
            doubt=f"the {LABELS[one.method]} agrees, but {one.remote_id} is linked to {taken[one.remote_id]}, "
            "which is not one of the chosen records",
        )
        for one in links
        if one.remote_id in taken
    ]
    kept = [one for one in links if one.remote_id not in taken]
    return Decision(
        kept,
        sorted([*reviews, *held], key=lambda one: one.pair),
        len({one.hub_id for one in reviews if one.doubt == NAMES_WAIT}),
        decision.former,
    )


def former_of_chosen(before: dict[Pair, Method], decision: Decision, chosen: Collection[str]) -> dict[Pair, Method]:
    """The earlier links to store: those of others as before, unless a chosen record took their partner."""
    taken = {one.remote_id for one in decision.links}
    kept: dict[Pair, Method] = {
        pair: method for pair, method in before.items() if pair[0] not in chosen and pair[1] not in taken
    }
    kept.update((pair, method) for pair, method in decision.former if pair[0] in chosen)
    return kept
