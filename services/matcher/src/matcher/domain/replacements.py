"""Which record of the channel replaced one that is gone: the only unlinked one with its SKU, if nothing contradicts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from matcher.domain.candidates import Pair
from matcher.domain.keys import barcode_key, sku_key
from matcher.domain.mappings import Match
from matcher.domain.overlap import TitleOverlap
from matcher.domain.product_codes import Product, show
from matcher.domain.text import same_words

Verdict = Literal["moved", "review", "left"]
MAX_SHOWN = 5
"""Records that a person is shown as possible replacements of one."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A link whose record of the channel is gone.

    old: that record as a match read it last, None where no match did. hub: the hub's record, None where it is gone too.
    """

    link: Match
    old: Product | None
    hub: Product | None


@dataclass(frozen=True, slots=True)
class Replacement:
    """What becomes of a link: moved to the one record in `remote_ids`; for review, with those it may be; or left.

    code, reason: why it is not moved, for machines and for people.
    """

    replaced: Replaced
    verdict: Verdict
    remote_ids: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""


def find_replacements(
    replaced: Collection[Replaced],
    unlinked: Mapping[str, Product],
    rejected: Collection[Pair],
    former: Collection[Pair],
) -> list[Replacement]:
    """Decide on every link whose record is gone, in the order given.

    unlinked: listed records of the channel without a link. rejected: pairs that people rejected. former: pairs that
    were linked before and wait for a person.
    """
    by_sku: dict[str, list[str]] = {}
    for remote_id, product in sorted(unlinked.items()):
        key = sku_key(product.sku)
        if key is not None:
            by_sku.setdefault(key, []).append(remote_id)
    claims: dict[str, list[str]] = {}
    for one in replaced:
        key = _sku(one)
        if key is not None:
            claims.setdefault(key, []).append(one.link.hub_id)
    before: dict[str, set[str]] = {}
    for hub_id, remote_id in former:
        before.setdefault(remote_id, set()).add(hub_id)
    rejected_pairs = frozenset(rejected)
    return [_decide(one, unlinked, by_sku, claims, rejected_pairs, before) for one in replaced]


def _decide(
    one: Replaced,
    unlinked: Mapping[str, Product],
    by_sku: Mapping[str, list[str]],
    claims: Mapping[str, list[str]],
    rejected: frozenset[Pair],
    before: Mapping[str, set[str]],
) -> Replacement:
    hub_id, old_id = one.link.pair
    gone = f"{old_id}, to which {hub_id} is linked, is no longer there"
    key = _sku(one)
    carriers = by_sku.get(key or "", [])
    found = tuple(remote_id for remote_id in carriers if (hub_id, remote_id) not in rejected)
    if key is None or not found:
        code, reason = _why_left(one, key, rejected=bool(carriers))
        return Replacement(one, "left", (), code, f"{gone}, {reason}")
    sku = _shown_sku(one)
    if len(carriers) > 1:
        reason = f"{gone}; its SKU {sku} belongs to {len(carriers)} records without a link"
        return Replacement(one, "review", found[:MAX_SHOWN], "AMBIGUOUS", reason)
    if len(claims[key]) > 1:
        others = ", ".join(other for other in claims[key] if other != hub_id)
        reason = f"{gone}; the record that has its SKU {sku} now may as well be that of {others}"
        return Replacement(one, "review", found, "AMBIGUOUS", reason)
    against = _against(one, unlinked[found[0]])
    if against is None and before.get(found[0], set()) - {hub_id}:
        against = f"{found[0]} was linked to {', '.join(sorted(before[found[0]]))} before"
    if against is not None:
        reason = f"{gone}; {found[0]} has its SKU {sku}, but {against}"
        return Replacement(one, "review", found, "CONTRADICTION", reason)
    return Replacement(one, "moved", found)


def _why_left(one: Replaced, key: str | None, *, rejected: bool) -> tuple[str, str]:
    """Code and reason of a link for which there is no replacement."""
    if one.hub is None:
        return "NO_RECORD", f"and neither is {one.link.hub_id}"
    if key is None:
        why = "it had no SKU that names one product" if one.old else "no match read its codes while it was listed"
        return "NO_SKU", f"and {why}"
    if rejected:
        return "REJECTED", f"and a person rejected the record that has its SKU {_shown_sku(one)} now"
    return "NO_REPLACEMENT", f"and no record without a link has its SKU {_shown_sku(one)}"


def _shown_sku(one: Replaced) -> str:
    product = one.old or one.hub
    return show(product.sku if product else None)


def _sku(one: Replaced) -> str | None:
    """The SKU of the record that is gone; a link by SKU proves that it was the hub's. None where the hub's is gone."""
    if one.hub is None:
        return None
    if one.old is not None:
        return sku_key(one.old.sku)
    return sku_key(one.hub.sku) if one.link.method == "sku" else None


def _against(one: Replaced, new: Product) -> str | None:
    """What speaks against one product: another barcode, or a title that has nothing in common with the former one."""
    for known, whose in ((one.old, "its"), (one.hub, f"that of {one.link.hub_id}")):
        ours, theirs = barcode_key(known.barcode if known else None), barcode_key(new.barcode)
        if ours is not None and theirs is not None:
            if ours != theirs:
                return f"the barcode {show(new.barcode)} is not {whose}"
            break  # the record that is gone decides: a person may have linked two barcodes
    before = one.old or one.hub
    names = (before.name if before else "", new.name)
    if not same_words(*names) and TitleOverlap([names[0]], [names[1]]).strangers(0, 0):
        return "the titles have nothing in common"
    return None
