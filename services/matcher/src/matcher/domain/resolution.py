"""From candidates to links and reviews. One-to-one; whoever has several candidates is never linked silently.

The order of the candidates and how they were chunked make no difference.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from matcher.domain.candidates import Candidate, Known, Pair

AUTO = 0.45
REVIEW = 0.3
MARGIN = 0.03
"""A pair links by its names only if both its records like each other better than anybody else by this much."""
MAX_REVIEWS = 5
"""Suggestions that a person is shown for one record of Nhanh."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Scores of names, 0 to 1: from `auto` on a pair may link by itself, from `review` on a person is asked."""

    auto: float = AUTO
    review: float = REVIEW

    @classmethod
    def of(cls, auto: float | None, review: float | None) -> "Bands":
        """The defaults where nothing is asked; the review band never begins above the automatic one."""
        chosen = AUTO if auto is None else auto
        return cls(chosen, min(chosen, REVIEW if review is None else review))


@dataclass(frozen=True, slots=True)
class Decision:
    """`links` are one-to-one; `reviews` touch no linked record and wait for a person."""

    links: list[Candidate]
    reviews: list[Candidate]


def _decide(links: Collection[Candidate], others: Collection[Candidate]) -> Decision:
    """Links, and for each record without one the best of what is left for review."""
    taken_left = {one.nhanh_id for one in links}
    taken_right = {one.shopify_id for one in links}
    shown: dict[str, int] = {}
    reviews: list[Candidate] = []
    for one in sorted(others, key=lambda one: (-one.score, one.pair)):
        if one.nhanh_id in taken_left or one.shopify_id in taken_right or shown.get(one.nhanh_id, 0) >= MAX_REVIEWS:
            continue
        shown[one.nhanh_id] = shown.get(one.nhanh_id, 0) + 1
        reviews.append(one)
    return Decision(sorted(links, key=lambda one: one.pair), sorted(reviews, key=lambda one: one.pair))


def _only_partners(candidates: Collection[Candidate]) -> list[Candidate]:
    """The pairs whose records have no other candidate on either side. One-to-one by construction."""
    lefts: dict[str, set[str]] = {}
    rights: dict[str, set[str]] = {}
    for one in candidates:
        lefts.setdefault(one.nhanh_id, set()).add(one.shopify_id)
        rights.setdefault(one.shopify_id, set()).add(one.nhanh_id)
    return [one for one in candidates if len(lefts[one.nhanh_id]) == 1 and len(rights[one.shopify_id]) == 1]


def resolve_products(candidates: Collection[Candidate], known: Known, bands: Bands) -> Decision:
    """Which products belong together.

    An exact key links where it is undoubted and the only one; SKU and barcode that name different partners link
    nothing. Names decide among the records that no exact key speaks for.
    """
    remaining = known.open(candidates)
    exact = [one for one in remaining if one.method != "title"]
    links = [one for one in _only_partners(exact) if one.doubt is None]
    spoken_for = {one.nhanh_id for one in exact}, {one.shopify_id for one in exact}
    linked = {one.nhanh_id for one in links}, {one.shopify_id for one in links}
    names = [
        one
        for one in remaining
        if one.method == "title" and one.nhanh_id not in linked[0] and one.shopify_id not in linked[1]
    ]
    best = _mutual_best(names)
    links += [
        one
        for one in names
        if one.doubt is None
        and one.score >= bands.auto
        and one.pair in best
        and one.nhanh_id not in spoken_for[0]
        and one.shopify_id not in spoken_for[1]
    ]
    return _decide(links, [*exact, *(one for one in names if one.score >= bands.review)])


def _mutual_best(candidates: list[Candidate]) -> set[Pair]:
    """Pairs that lead on both sides by the margin."""
    by_left: dict[str, list[float]] = {}
    by_right: dict[str, list[float]] = {}
    for one in candidates:
        by_left.setdefault(one.nhanh_id, []).append(one.score)
        by_right.setdefault(one.shopify_id, []).append(one.score)
    for scores in (*by_left.values(), *by_right.values()):
        scores.sort(reverse=True)
    return {
        one.pair for one in candidates if _leads(one, by_left[one.nhanh_id]) and _leads(one, by_right[one.shopify_id])
    }


def _leads(one: Candidate, scores: list[float]) -> bool:
    return one.score == scores[0] and (len(scores) == 1 or scores[0] - scores[1] >= MARGIN)


def resolve_customers(candidates: Collection[Candidate], known: Known, bands: Bands) -> Decision:
    """Who is who.

    A pair links where neither record has another candidate by any key: a phone that says A and an e-mail that says
    B link nothing. `bands` are for names and mean nothing here.
    """
    del bands
    remaining = known.open(candidates)
    links = [one for one in _only_partners(remaining) if one.doubt is None]
    return _decide(links, remaining)


Resolver = Callable[[Collection[Candidate], Known, Bands], Decision]
RESOLVERS: dict[str, Resolver] = {"product": resolve_products, "customer": resolve_customers}
