"""Turns candidates into links and reviews. Links are one-to-one; a record with several candidates waits for a person.

The result does not depend on the order of the candidates, nor on how they were split into chunks. former_links.py
handles links that no longer hold.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from matcher.domain.candidates import LABELS, Candidate, Known, Method, Pair
from matcher.domain.former_links import check_former_links

AUTO = 0.45
REVIEW = 0.3
MARGIN = 0.03
"""A pair links by its names only if both its records like each other better than anybody else by this much."""
MAX_REVIEWS = 5
"""Suggestions that a person is shown for one record of the hub."""

LinkByName = Literal["review", "auto"]
NAMES_WAIT = "only the names agree; set link_by_name to auto to link such pairs"
_TOO_LITTLE = "the names are alike, but too little to link by them"
_OTHERS_NEAR = "the names are alike, but those of another record are as near"
_CODE_ELSEWHERE = "the names are alike, but a code of one of the two leads to another record"


@dataclass(frozen=True, slots=True)
class Bands:
    """Scores of names, 0 to 1: from `auto` on a pair may link by itself, from `review` on a person is asked.

    link_by_name: whether names link by themselves at all, or every such pair waits for a person.
    """

    auto: float = AUTO
    review: float = REVIEW
    link_by_name: LinkByName = "review"

    @classmethod
    def of(cls, auto: float | None, review: float | None, link_by_name: LinkByName = "review") -> "Bands":
        """The defaults where nothing is asked; the review band never begins above the automatic one."""
        chosen = AUTO if auto is None else auto
        return cls(chosen, min(chosen, REVIEW if review is None else review), link_by_name)


@dataclass(frozen=True, slots=True)
class Decision:
    """`links` are one-to-one; `reviews` touch no linked record and wait for a person, `doubt` being the reason.

    waiting_by_name: records of the hub that wait only because names do not link by themselves.
    former: pairs that were linked before and are not now, with the method, to be remembered.
    """

    links: list[Candidate]
    reviews: list[Candidate]
    waiting_by_name: int = 0
    former: frozenset[tuple[Pair, Method]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What the present evidence alone gives. links: to be linked; waiting: if names did; others: for review.

    leads: all pairs that a code speaks for, doubted ones too.
    """

    links: list[Candidate]
    waiting: list[Candidate]
    others: list[Candidate]
    leads: list[Candidate]


def resolve_products(candidates: Collection[Candidate], known: Known, bands: Bands) -> Decision:
    """Link the products.

    An exact key links where it is undoubted and the only one; SKU and barcode that name different partners link
    nothing. Names decide, where the account lets them, among the records that no exact key speaks for.
    """
    remaining = known.open(candidates)
    leads = [one for one in remaining if one.method != "title" and not one.hint]
    alone = {one.pair for one in _only_partners(leads)}
    links = [one for one in leads if one.pair in alone and one.doubt is None]
    names = _Names(remaining, links, leads, bands)
    by_name, others = names.decide()
    undecided = [one for one in _explained(leads) if one.doubt is not None]
    if bands.link_by_name == "auto":
        return _decision(_Proposal([*links, *by_name], [], [*undecided, *others], leads), known)
    return _decision(_Proposal(links, by_name, [*undecided, *others], leads), known)


class _Names:
    """Decides by names among the candidates whose records no exact key has linked."""

    def __init__(
        self, remaining: list[Candidate], links: list[Candidate], leads: list[Candidate], bands: Bands
    ) -> None:
        linked = {one.hub_id for one in links}, {one.remote_id for one in links}
        spoken_for = {one.hub_id for one in leads}, {one.remote_id for one in leads}
        free = [one for one in remaining if one.hub_id not in linked[0] and one.remote_id not in linked[1]]
        self._titles = [one for one in free if one.method == "title"]
        self._hints = [one for one in free if one.hint]
        self._bands = bands
        self._spoken_for = spoken_for
        self._best = _mutual_best(
            [*self._titles, *(_as_name(one) for one in self._hints if one.name_score >= bands.review)]
        )

    def decide(self) -> tuple[list[Candidate], list[Candidate]]:
        """What would link by its names, and what is left for review, with the reason."""
        linked: list[Candidate] = []
        others: list[Candidate] = []
        for one in self._titles:
            reason = one.doubt or self._against(one)
            if reason is None:
                linked.append(one)
            elif one.score >= self._bands.review:
                others.append(replace(one, doubt=reason))
        for one in self._hints:
            # The code is no evidence, so the names decide as if it were not there.
            if one.name_score and self._against(_as_name(one)) is None:
                linked.append(_as_name(one))
            else:
                others.append(one)
        return linked, others

    def _against(self, one: Candidate) -> str | None:
        if one.hub_id in self._spoken_for[0] or one.remote_id in self._spoken_for[1]:
            return _CODE_ELSEWHERE
        if one.score < self._bands.auto:
            return _TOO_LITTLE
        return None if one.pair in self._best else _OTHERS_NEAR


def resolve_customers(candidates: Collection[Candidate], known: Known, bands: Bands) -> Decision:
    """Link the customers.

    A pair links where neither record has another candidate by any key: a phone that says A and an e-mail that says
    B link nothing, nor does a longer chain. `bands` are for names and mean nothing here.
    """
    del bands
    remaining = known.open(candidates)
    alone = {one.pair for one in _only_partners(remaining)}
    links = [one for one in remaining if one.pair in alone and one.doubt is None]
    chain = "a chain of shared phones and e-mails joins several customers: "
    undecided = [one for one in _explained(remaining, chain) if one.doubt is not None]
    return _decision(_Proposal(links, [], undecided, remaining), known)


Resolver = Callable[[Collection[Candidate], Known, Bands], Decision]
RESOLVERS: dict[str, Resolver] = {"product": resolve_products, "customer": resolve_customers}


def _decision(proposal: _Proposal, known: Known) -> Decision:
    """Hold back what would move a link, then choose for each record without a link the best of the rest."""
    checked = check_former_links(proposal.links, proposal.waiting, proposal.leads, proposal.others, known)
    waiting = [replace(one, doubt=NAMES_WAIT) for one in checked.waiting]
    linked_left, linked_right = _records(checked.links)
    waiting_left, waiting_right = _records(waiting)
    reviews = [*checked.held, *waiting]
    shown: dict[str, int] = {}
    for one in reviews:
        shown[one.hub_id] = shown.get(one.hub_id, 0) + 1
    for one in sorted(checked.others, key=lambda one: (-one.score, one.pair)):
        if one.hub_id in linked_left or one.remote_id in linked_right or shown.get(one.hub_id, 0) >= MAX_REVIEWS:
            continue
        # Other names are less alike than the pair that waits; an equal code is something a person must see.
        if not one.hint and (one.hub_id in waiting_left or one.remote_id in waiting_right):
            continue
        shown[one.hub_id] = shown.get(one.hub_id, 0) + 1
        reviews.append(one)
    return Decision(
        sorted(checked.links, key=lambda one: one.pair),
        sorted(reviews, key=lambda one: one.pair),
        checked.waiting_records,
        checked.former,
    )


def _records(pairs: Collection[Candidate]) -> tuple[set[str], set[str]]:
    """The records of both sides that are in any of the pairs."""
    return {one.hub_id for one in pairs}, {one.remote_id for one in pairs}


def _only_partners(candidates: Collection[Candidate]) -> list[Candidate]:
    """The pairs whose records have no other candidate on either side. One-to-one by construction."""
    lefts: dict[str, set[str]] = {}
    rights: dict[str, set[str]] = {}
    for one in candidates:
        lefts.setdefault(one.hub_id, set()).add(one.remote_id)
        rights.setdefault(one.remote_id, set()).add(one.hub_id)
    return [one for one in candidates if len(lefts[one.hub_id]) == 1 and len(rights[one.remote_id]) == 1]


def _mutual_best(candidates: list[Candidate]) -> set[Pair]:
    """Pairs that lead on both sides by the margin."""
    by_left: dict[str, list[float]] = {}
    by_right: dict[str, list[float]] = {}
    for one in candidates:
        by_left.setdefault(one.hub_id, []).append(one.score)
        by_right.setdefault(one.remote_id, []).append(one.score)
    for scores in (*by_left.values(), *by_right.values()):
        scores.sort(reverse=True)
    return {one.pair for one in candidates if _leads(one, by_left[one.hub_id]) and _leads(one, by_right[one.remote_id])}


def _leads(one: Candidate, scores: list[float]) -> bool:
    return one.score == scores[0] and (len(scores) == 1 or scores[0] - scores[1] >= MARGIN)


def _as_name(one: Candidate) -> Candidate:
    """A hint taken for its names alone."""
    return Candidate(one.hub_id, one.remote_id, "title", one.name_score)


def _explained(candidates: Collection[Candidate], introduction: str = "") -> list[Candidate]:
    """The candidates; those whose records have others as well say so in their doubt."""
    lefts: dict[str, list[Candidate]] = {}
    rights: dict[str, list[Candidate]] = {}
    for one in sorted(candidates, key=lambda one: one.pair):
        lefts.setdefault(one.hub_id, []).append(one)
        rights.setdefault(one.remote_id, []).append(one)
    explained: list[Candidate] = []
    for one in candidates:
        ways = [
            *(f"the {LABELS[o.method]} of {o.hub_id} leads to {o.remote_id}" for o in lefts[one.hub_id] if o != one),
            *(f"the {LABELS[o.method]} of {o.remote_id} to {o.hub_id}" for o in rights[one.remote_id] if o != one),
        ]
        if not ways:
            explained.append(one)
            continue
        also = f"{introduction}the {LABELS[one.method]} agrees, but {' and '.join(ways[:MAX_REVIEWS])}"
        explained.append(replace(one, doubt=also if one.doubt is None else f"{also}; {one.doubt}"))
    return explained
