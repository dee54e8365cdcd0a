"""What scoring says of two records, and what resolving makes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

Method = Literal["sku", "barcode", "title", "phone", "email", "manual"]
Pair = tuple[str, str]
"""(nhanh_id, shopify_id)."""

EXACT: frozenset[str] = frozenset({"sku", "barcode", "phone", "email"})


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
