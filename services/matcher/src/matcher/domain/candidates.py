"""Candidates, which are pairs of records that may be the same, and what is known of pairs from before."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from job_events.job_params import STORED_MATCH_NAMES

Method = Literal["sku", "barcode", "title", "phone", "email", "manual"]
Pair = tuple[str, str]
"""(hub_id, remote_id)."""

LABELS: dict[Method, str] = {
    "sku": "SKU",
    "barcode": "barcode",
    "title": "name",
    "phone": "phone",
    "email": "e-mail",
    "manual": "confirmation",
}
"""What the methods are called in sentences."""
TITLES = ("the hub", "the channel")
"""What the two platforms of a job are called in sentences where their titles are unknown."""
EXACT: frozenset[str] = frozenset({"sku", "barcode", "phone", "email"})


class Candidate(Struct, frozen=True, omit_defaults=True, rename=STORED_MATCH_NAMES):
    """Two records that may be the same. `score` is 0 to 1; `doubt` says why they must not link by themselves.

    hint: the code that agrees is no evidence, only a reason to ask a person.
    name_score: of a hint: how alike the names are, 0 to 1, where names alone may decide; 0 where they may not.
    same_name: the names are the same words, accents counted.
    """

    hub_id: str
    remote_id: str
    method: Method
    score: float
    doubt: str | None = None
    hint: bool = False
    name_score: float = 0.0
    same_name: bool = False

    @property
    def pair(self) -> Pair:
        return self.hub_id, self.remote_id


class ChunkResult(Struct, frozen=True):
    """What an agent found in one chunk; `counts` add up over the chunks of a job."""

    candidates: list[Candidate]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class FormerLink:
    """A pair that an earlier run linked, and which of its records the snapshot still has."""

    hub_id: str
    remote_id: str
    method: Method
    hub_present: bool = True
    remote_present: bool = True

    @property
    def pair(self) -> Pair:
        return self.hub_id, self.remote_id


@dataclass(frozen=True, slots=True)
class Known:
    """What people and earlier runs decided.

    Records in `confirmed` keep their partner; pairs in `rejected` never meet again; `former` pairs were linked until
    now, or until a run that had to leave them to a person.
    """

    confirmed: Mapping[str, str] = field(default_factory=dict[str, str])
    rejected: Collection[Pair] = ()
    former: Collection[FormerLink] = ()

    def open(self, candidates: Collection[Candidate]) -> list[Candidate]:
        """The candidates that are still anybody's to decide, in an order that depends on nothing else."""
        rejected, partners = set(self.rejected), set(self.confirmed.values())
        return sorted(
            (
                one
                for one in candidates
                if one.hub_id not in self.confirmed and one.remote_id not in partners and one.pair not in rejected
            ),
            key=lambda one: one.pair,
        )
