"""What scoring says of two records, and what resolving makes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

Method = Literal["sku", "barcode", "title", "phone", "email", "manual"]
Pair = tuple[str, str]
"""(nhanh_id, shopify_id)."""

EXACT: frozenset[str] = frozenset({"sku", "barcode", "phone", "email"})
MAX_REVIEWS = 5
"""Suggestions that a person is shown for one record."""


class Candidate(Struct, frozen=True, omit_defaults=True):
    """Two records that may be the same. `score` is 0 to 1; `doubt` says why they must not link by themselves."""

    nhanh_id: str
    shopify_id: str
    method: Method
    score: float
    doubt: str | None = None

    @property
    def pair(self) -> Pair:
        return self.nhanh_id, self.shopify_id


class ChunkResult(Struct, frozen=True):
    """What an agent found in one chunk; `counts` add up over the chunks of a job."""

    candidates: list[Candidate]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What people decided. Records in `confirmed` keep their partner; pairs in `rejected` never meet again."""

    confirmed: Mapping[str, str] = field(default_factory=dict[str, str])
    rejected: Collection[Pair] = ()

    def open(self, candidates: Collection[Candidate]) -> list[Candidate]:
        """The candidates that are still anybody's to decide, in an order that depends on nothing else."""
        rejected, partners = set(self.rejected), set(self.confirmed.values())
        return sorted(
            (
                one
                for one in candidates
                if one.nhanh_id not in self.confirmed and one.shopify_id not in partners and one.pair not in rejected
            ),
            key=lambda one: one.pair,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """`links` are one-to-one; `reviews` touch no linked record and wait for a person."""

    links: list[Candidate]
    reviews: list[Candidate]


def decide(links: Collection[Candidate], others: Collection[Candidate]) -> Decision:
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


def only_partners(candidates: Collection[Candidate]) -> list[Candidate]:
    """The pairs whose records have no other candidate on either side. One-to-one by construction."""
    lefts: dict[str, set[str]] = {}
    rights: dict[str, set[str]] = {}
    for one in candidates:
        lefts.setdefault(one.nhanh_id, set()).add(one.shopify_id)
        rights.setdefault(one.shopify_id, set()).add(one.nhanh_id)
    return [one for one in candidates if len(lefts[one.nhanh_id]) == 1 and len(rights[one.shopify_id]) == 1]
