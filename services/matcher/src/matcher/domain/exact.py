"""What a match by codes alone may do to the stored matches of products: what names found stays as it is.

- A code that links two products writes the link; suggestions for the two are deleted.
- A pair that a code linked and no longer links waits for a person, as after a match that reads names too.
- A pair that a code speaks for and something against waits for a person.
- A link by names stays. A code that leads one of its records elsewhere waits for a person beside it.
- All other suggestions, by names and by codes that agree only in a looser form, stay.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from matcher.domain.candidates import EXACT, LABELS, Candidate, Known, Method, Pair
from matcher.domain.mappings import Match
from matcher.domain.resolution import Bands, Decision, resolve_products


@dataclass(frozen=True, slots=True)
class ExactDecision:
    """rows: the stored matches that the decision replaces. by_name: how many links by names stay. former: to store."""

    decision: Decision
    rows: list[Match]
    by_name: int
    former: frozenset[tuple[Pair, Method]]


def decide_by_codes(evidence: Collection[Candidate], rows: Iterable[Match], known: Known) -> ExactDecision:
    """Decide by what codes say. evidence: as ProductCodes gives it; rows, known: of all stored matches."""
    every = list(rows)
    decision = resolve_products(evidence, known, Bands())
    links = {one.pair for one in decision.links}
    hub_ids, remote_ids = {hub_id for hub_id, _ in links}, {remote_id for _, remote_id in links}
    named: dict[str, Match] = {}
    for row in every:
        taken = row.hub_id in hub_ids or row.remote_id in remote_ids
        if row.status == "auto" and row.method not in EXACT and not taken:
            named[f"hub {row.hub_id}"] = named[f"remote {row.remote_id}"] = row
    by_name = {row.pair for row in named.values()}
    reviews = [_beside(one, named) for one in decision.reviews if one.method in EXACT and one.pair not in by_name]
    decided = {one.pair for one in (*evidence, *reviews)}

    def is_replaced(row: Match) -> bool:
        if row.pair in by_name:
            return False
        at_link = row.hub_id in hub_ids or row.remote_id in remote_ids
        return at_link or row.pair in decided or (row.status == "auto" and row.method in EXACT)

    return ExactDecision(
        Decision(decision.links, reviews),
        [row for row in every if is_replaced(row)],
        len(by_name),
        frozenset(one for one in decision.former if one[0] not in by_name),
    )


def _beside(one: Candidate, named: dict[str, Match]) -> Candidate:
    """A pair that waits because one of its records is linked by its name says so."""
    beside = named.get(f"hub {one.hub_id}") or named.get(f"remote {one.remote_id}")
    if beside is None:
        return one
    linked = f"{beside.hub_id} is linked to {beside.remote_id} by its {LABELS[beside.method]}"
    return replace(one, doubt=f"the {LABELS[one.method]} agrees, but {linked}")
