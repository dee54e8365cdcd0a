"""Links whose evidence no longer exists or leads elsewhere: no record changes its partner without a person.

- A pair that the evidence links again is linked, also if it waited for a person in between.
- A pair that the evidence no longer links waits for a person while both its records exist, and so does any other pair
  that would link one of the two. That lasts until a person decides or the evidence links the pair again.
- A record whose partner was deleted (or was linked to another by a person) is not linked to another record by name, and
  by a code only to a record whose name has the same words.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from matcher.domain.candidates import LABELS, Candidate, FormerLink, Known, Method, Pair

_DELETED = "is no longer there"
_CONFIRMED = "is now confirmed with another record"


@dataclass(frozen=True, slots=True)
class CheckedLinks:
    """links: to be linked. waiting: would be linked if names did. held: wait for a person because of an earlier link.

    waiting_records: records of the hub that wait only because names do not link. former: pairs to store.
    """

    links: list[Candidate]
    waiting: list[Candidate]
    held: list[Candidate]
    others: list[Candidate]
    waiting_records: int
    former: frozenset[tuple[Pair, Method]]


def check_former_links(
    links: Collection[Candidate],
    waiting: Collection[Candidate],
    leads: Collection[Candidate],
    others: Collection[Candidate],
    known: Known,
) -> CheckedLinks:
    """Hold back the links that would replace an earlier one, and list the earlier ones that no longer hold.

    Args:
        links: what the present evidence links.
        waiting: what it would link if names did.
        leads: all pairs that a code speaks for, doubted or not.
        others: what is left for review.
        known: what people and earlier runs decided.
    """
    if not known.former:
        return CheckedLinks([*links], [*waiting], [], [*others], len(waiting), frozenset())
    former_links = _FormerLinks(known, {one.pair for one in links})
    kept: list[Candidate] = []
    kept_waiting: list[Candidate] = []
    held: dict[Pair, Candidate] = {}
    for chosen, pool in ((kept, links), (kept_waiting, waiting)):
        for one in pool:
            if one.pair in former_links.broken:
                continue
            reason = former_links.against(one)
            if reason is None:
                chosen.append(one)
            else:
                held[one.pair] = replace(one, doubt=reason)
    present = {one.pair: one for one in (*leads, *others)}
    would_wait = {one.pair for one in waiting}
    elsewhere = _by_record([*leads, *waiting])
    for pair, former in former_links.broken.items():
        reason = _broken(former, elsewhere, present.get(pair), waits=pair in would_wait)
        shown = present.get(pair) or next((one for one in waiting if one.pair == pair), None)
        held[pair] = (
            replace(shown, doubt=reason)
            if shown is not None
            else Candidate(former.hub_id, former.remote_id, former.method, 0.0, reason)
        )
    codes = {one.pair for one in leads}
    rest: list[Candidate] = []
    for one in others:
        if one.pair in held or former_links.only_a_name_beside(one):
            continue
        shown = former_links.explained(one)
        if shown is not one and one.pair in codes:
            held[one.pair] = shown
        else:
            rest.append(shown)
    return CheckedLinks(
        kept,
        kept_waiting,
        [held[pair] for pair in sorted(held)],
        rest,
        len(
            {one.hub_id for one in kept_waiting}
            | {left for left, right in former_links.broken if (left, right) in would_wait}
        ),
        former_links.to_store(kept, known),
    )


class _FormerLinks:
    """Earlier links that the present evidence does not give again."""

    def __init__(self, known: Known, linked: set[Pair]) -> None:
        self._linked = linked
        rejected, taken = set(known.rejected), set(known.confirmed.values())
        self.broken: dict[Pair, FormerLink] = {}
        self._left: dict[str, list[FormerLink]] = {}
        self._right: dict[str, list[FormerLink]] = {}
        self._lost: dict[Pair, str] = {}
        for former in sorted(known.former, key=lambda former: former.pair):
            if former.pair in linked or former.pair in rejected:
                continue
            if known.confirmed.get(former.hub_id) == former.remote_id:
                continue
            left_free = former.hub_present and former.hub_id not in known.confirmed
            right_free = former.remote_present and former.remote_id not in taken
            if left_free and right_free:
                self.broken[former.pair] = former
            if left_free:
                self._left.setdefault(former.hub_id, []).append(former)
                self._lost[former.pair] = _CONFIRMED if former.remote_present else _DELETED
            if right_free:
                self._right.setdefault(former.remote_id, []).append(former)
                self._lost[former.pair] = _CONFIRMED if former.hub_present else _DELETED

    def against(self, one: Candidate) -> str | None:
        """Why a pair that the evidence would link must wait: an earlier link of one of its records."""
        reasons = self._reasons(one)
        return "; ".join([f"the {LABELS[one.method]} agrees", *reasons]) if reasons else None

    def explained(self, one: Candidate) -> Candidate:
        """A pair that waits anyway, with the earlier partners of its records in its reason."""
        reasons = self._reasons(one)
        return replace(one, doubt="; ".join([*([one.doubt] if one.doubt else []), *reasons])) if reasons else one

    def only_a_name_beside(self, one: Candidate) -> bool:
        """Whether a suggestion by name would only hide the two partners between which a person chooses."""
        return one.method == "title" and any(former.pair in self.broken for former in self._beside(one))

    def to_store(self, links: Iterable[Candidate], known: Known) -> frozenset[tuple[Pair, Method]]:
        """The earlier links that are still undecided; a record with a new link has none."""
        every = list(links)
        lefts, rights = {one.hub_id for one in every}, {one.remote_id for one in every}
        # What would link again but is held back by another earlier link is still an earlier link.
        held_back = (former for former in known.former if former.pair in self._linked)
        open_links = {former for row in (*self._left.values(), *self._right.values()) for former in row}
        return frozenset(
            (former.pair, former.method)
            for former in (*open_links, *held_back)
            if former.hub_id not in lefts and former.remote_id not in rights
        )

    def _reasons(self, one: Candidate) -> list[str]:
        reasons = [self._reason(one, former) for former in self._beside(one) if former.pair != one.pair]
        return [reason for reason in reasons if reason is not None]

    def _beside(self, one: Candidate) -> list[FormerLink]:
        """Earlier links of either record; a pair's own is one of each."""
        lefts = self._left.get(one.hub_id, [])
        return [*lefts, *(former for former in self._right.get(one.remote_id, []) if former not in lefts)]

    def _reason(self, one: Candidate, former: FormerLink) -> str | None:
        was = f"{former.hub_id} was linked to {former.remote_id} by its {LABELS[former.method]} until now"
        if former.pair in self.broken:
            return was
        if one.method != "title" and one.same_name:
            return None
        lost = former.remote_id if former.hub_id == one.hub_id else former.hub_id
        return f"{was}, and {lost} {self._lost[former.pair]}"


def _by_record(candidates: Iterable[Candidate]) -> tuple[dict[str, list[Candidate]], dict[str, list[Candidate]]]:
    lefts: dict[str, list[Candidate]] = {}
    rights: dict[str, list[Candidate]] = {}
    for one in sorted(candidates, key=lambda one: one.pair):
        lefts.setdefault(one.hub_id, []).append(one)
        rights.setdefault(one.remote_id, []).append(one)
    return lefts, rights


def _broken(
    former: FormerLink,
    elsewhere: tuple[dict[str, list[Candidate]], dict[str, list[Candidate]]],
    present: Candidate | None,
    *,
    waits: bool,
) -> str:
    """Why a pair that was linked waits: where its evidence leads now, or what is left of it."""
    was = f"{former.hub_id} was linked to {former.remote_id} by its {LABELS[former.method]} until now"
    moves = [
        *(
            f"the {LABELS[one.method]} of {one.hub_id} now leads to {one.remote_id}"
            for one in elsewhere[0].get(former.hub_id, [])
            if one.remote_id != former.remote_id
        ),
        *(
            f"the {LABELS[one.method]} of {one.remote_id} now leads to {one.hub_id}"
            for one in elsewhere[1].get(former.remote_id, [])
            if one.hub_id != former.hub_id
        ),
    ]
    if moves:
        return "; ".join([was, *moves])
    if waits:
        return f"{was}; now only the names agree, and names do not link by themselves"
    if present is not None and present.doubt is not None:
        return f"{was}; {present.doubt}"
    return f"{was}; nothing links the two any more"
