"""Compares the stored matches of an account with what a run decided: new, changed, unchanged and removed rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from matcher.domain.candidates import Candidate, FormerLink, Known, Method, Pair
from matcher.domain.resolution import Decision

DRIFT = 0.05
"""Each new record changes all scores of names a little; a smaller change of a link is not reported."""

Status = Literal["auto", "review", "confirmed", "rejected"]


@dataclass(frozen=True, slots=True)
class Match:
    """A stored match. A person has set `confirmed` and `rejected`; reason: why a review waits for a person."""

    hub_id: str
    remote_id: str
    status: Status
    method: Method
    score: float
    reason: str | None = None

    @property
    def pair(self) -> Pair:
        return self.hub_id, self.remote_id


@dataclass(frozen=True, slots=True)
class Changes:
    """What an automatic run does to the rows that are its own, and what that means for links.

    The rows are sorted by pair and count links and reviews; `new_links` and the like count links alone.
    """

    created: list[Match]
    updated: list[Match]
    removed: list[Match]
    new_links: list[Match]
    changed_links: list[Match]
    unchanged_links: int
    lost_links: int


def known(rows: Iterable[Match], former: Iterable[FormerLink] = ()) -> Known:
    """What people decided, out of all rows; `former` as `earlier_links` and the snapshot give them."""
    every = list(rows)
    return Known(
        confirmed={row.hub_id: row.remote_id for row in every if row.status == "confirmed"},
        rejected=frozenset(row.pair for row in every if row.status == "rejected"),
        former=tuple(former),
    )


def earlier_links(rows: Iterable[Match], stored: Mapping[Pair, Method]) -> dict[Pair, Method]:
    """Every pair that the last run linked, or that was stored as linked before; with the method of the link."""
    return {**stored, **{row.pair: row.method for row in rows if row.status == "auto"}}


def compare(rows: Iterable[Match], decision: Decision) -> Changes:
    """The rows of people stay as they are and appear in no list.

    So do suggestions for a record that a person confirmed with another: REPAIR_IDS found that this one may be gone.
    """
    every = list(rows)
    confirmed = {row.hub_id for row in every if row.status == "confirmed"}
    before = {
        row.pair: row
        for row in every
        if row.status == "auto" or (row.status == "review" and row.hub_id not in confirmed)
    }
    links = _rows(decision.links, "auto")
    after = {**links, **_rows(decision.reviews, "review")}
    linked_before = {pair for pair, row in before.items() if row.status == "auto"}
    updated = [row for pair, row in sorted(after.items()) if pair in before and not _same(before[pair], row)]
    return Changes(
        created=[row for pair, row in sorted(after.items()) if pair not in before],
        updated=updated,
        removed=[row for pair, row in sorted(before.items()) if pair not in after],
        new_links=[row for pair, row in sorted(links.items()) if pair not in linked_before],
        changed_links=[row for row in updated if row.status == "auto" and row.pair in linked_before],
        unchanged_links=sum(pair in before and _same(before[pair], row) for pair, row in links.items()),
        lost_links=len(linked_before - links.keys()),
    )


def _same(before: Match, after: Match) -> bool:
    if (before.status, before.method, before.reason) != (after.status, after.method, after.reason):
        return False
    return before.score == after.score or (after.method == "title" and abs(before.score - after.score) < DRIFT)


def _rows(candidates: list[Candidate], status: Status) -> Mapping[Pair, Match]:
    return {
        one.pair: Match(
            one.hub_id,
            one.remote_id,
            status,
            one.method,
            one.score,
            one.doubt if status == "review" else None,
        )
        for one in candidates
    }
