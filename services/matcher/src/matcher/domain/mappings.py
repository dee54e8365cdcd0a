"""From what an account has to what a run decided: which rows are new, changed, unchanged or gone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from matcher.domain.candidates import Candidate, Decision, Known, Method, Pair

Status = Literal["auto", "review", "confirmed", "rejected"]


@dataclass(frozen=True, slots=True)
class Match:
    """A stored mapping. `confirmed` and `rejected` are a person's word."""

    nhanh_id: str
    shopify_id: str
    status: Status
    method: Method
    score: float

    @property
    def pair(self) -> Pair:
        return self.nhanh_id, self.shopify_id


@dataclass(frozen=True, slots=True)
class Changes:
    """What an automatic run does to the rows that are its own. All sorted by pair."""

    created: list[Match]
    updated: list[Match]
    unchanged: list[Match]
    removed: list[Match]


def known(rows: Iterable[Match]) -> Known:
    """What people decided, out of all rows."""
    every = list(rows)
    return Known(
        confirmed={row.nhanh_id: row.shopify_id for row in every if row.status == "confirmed"},
        rejected=frozenset(row.pair for row in every if row.status == "rejected"),
    )


def compare(rows: Iterable[Match], decision: Decision) -> Changes:
    """The rows of people stay as they are and appear in no list."""
    before = {row.pair: row for row in rows if row.status in {"auto", "review"}}
    after = {**_rows(decision.links, "auto"), **_rows(decision.reviews, "review")}
    return Changes(
        created=[row for pair, row in sorted(after.items()) if pair not in before],
        updated=[row for pair, row in sorted(after.items()) if pair in before and before[pair] != row],
        unchanged=[row for pair, row in sorted(after.items()) if before.get(pair) == row],
        removed=[row for pair, row in sorted(before.items()) if pair not in after],
    )


def _rows(candidates: list[Candidate], status: Status) -> Mapping[Pair, Match]:
    return {one.pair: Match(one.nhanh_id, one.shopify_id, status, one.method, one.score) for one in candidates}
