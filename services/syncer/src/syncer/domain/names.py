"""Names of persons: whether two are of one person, and which of two forms of a name a shop should hold.

Vietnamese names begin with the family name and people are called by the last word; a shop's first and last name may
come in either order.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import Final

from syncer.domain.fields import NAME, key_of
from syncer.domain.placeholders import is_placeholder_name
from syncer.domain.spelling import accents, fold, tidy, word_set, words

LONGEST_NAME: Final = 255

_HONORIFICS: Final = word_set(
    "anh chi em co chu bac ong ba thim di cau mo be khach kh mr mrs ms miss dr bs ts ths ks gs a c e"
)
"""Folded forms of address that may stand before a name; some are names too."""

_ONLY_FAMILIES: Final = word_set("nguyen tran pham huynh phan vo dang bui ngo dinh trinh truong doan luu")
"""Folded family names that are hardly ever given names."""

_FAMILIES: Final = _ONLY_FAMILIES | word_set(
    "le hoang vu do ho duong ly luong trieu ha mai to ta cao dao lam la chu quach thai tang vuong phung kieu"
)
_MOST_WORDS = 8  # a longer name is compared as it is


def same_person(before: str | None, after: str | None) -> bool:
    """Whether two names can be of one person.

    Words count in any order, without accents and case; an initial stands for a word; forms of address, digits and
    what stands in brackets are left out. A shorter name is one of the same person if all of it is in the longer one
    and it is called alike: "Lan" and "Nguyễn Thị Lan", but not "Nguyễn Lan" and "Nguyễn Lan Anh". A placeholder
    contradicts nobody, and neither does a missing name.
    """
    if is_placeholder_name(before) or is_placeholder_name(after):
        return True
    one, other = _folded(before), _folded(after)
    if "".join(one) == "".join(other):
        return True
    return any(_compatible(left, right) for left in _addressed(one) for right in _addressed(other))


def name_to_write(hub: str | None, shop: str | None) -> str | None:
    """The hub's name if the shop should hold it, else None: it is no name, or the shop's form of it says more.

    The shop's form says more if the words are the same and it has accents that the hub's lacks, or the same accents
    and a case other than all small or all capital; if the hub has initials where the shop has words; and if the hub
    has only the given name. What the shop holds already is returned as the hub has it, not None.
    """
    if is_placeholder_name(hub):
        return None
    name = tidy(hub)[:LONGEST_NAME].rstrip()
    if is_placeholder_name(shop) or key_of(NAME, name) == key_of(NAME, tidy(shop)):
        return name
    return None if _says_more(words(shop), words(hub)) else name


def _folded(name: str | None) -> list[str]:
    text, depth, kept = tidy(name), 0, ""
    for char in text:
        depth += char in "([{"
        kept += char if depth == 0 else " "
        depth -= char in ")]}" and depth > 0
    return [fold(word) for word in words(kept)] or [fold(word) for word in words(text)]


def _addressed(name: Sequence[str]) -> list[Sequence[str]]:
    """The name as it is and without the forms of address before it: Anh Nguyễn may be a Mr. Nguyễn."""
    bare = list(name)
    while len(bare) > 1 and bare[0] in _HONORIFICS:
        bare = bare[1:]
    return [name] if len(bare) == len(name) else [name, bare]


def _compatible(one: Sequence[str], other: Sequence[str]) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) == len(longer):
        return _contained(shorter, longer)
    return _contained(shorter, longer) and any(
        _matches(ours, theirs) for ours in _called(shorter) for theirs in _called(longer)
    )


def _contained(shorter: Sequence[str], longer: Sequence[str]) -> bool:
    """Whether each word of the shorter name has a word of its own in the longer one."""
    left, right = Counter(shorter), Counter(longer)
    common = left & right
    rest, others = list((left - common).elements()), list((right - common).elements())
    if not rest:
        return True
    initials = any(len(word) == 1 for word in others)
    if len(others) > _MOST_WORDS or not (initials or all(len(word) == 1 for word in rest)):
        return False
    return any(all(map(_matches, rest, chosen)) for chosen in permutations(others, len(rest)))


def _matches(one: str, other: str) -> bool:
    return one == other or (1 in {len(one), len(other)} and one[0] == other[0])


def _called(name: Sequence[str]) -> set[str]:
    """The words that a person may be called by: the last one, or the one before a family name at the end.

    A family name alone is nobody's given name.
    """
    if len(name) == 1:
        return set(name) - _ONLY_FAMILIES
    family_first, family_last = name[0] in _FAMILIES, name[-1] in _FAMILIES
    if family_first and not family_last:
        return {name[-1]}
    if family_last and not family_first:
        return {name[-2]}
    return {name[-1], name[-2], name[0]} if not family_first else {name[-1], name[-2]}


def _says_more(shop: Sequence[str], hub: Sequence[str]) -> bool:
    theirs = sorted(shop, key=_sorting)
    ours = sorted(hub, key=_sorting)
    if [fold(word) for word in theirs] != [fold(word) for word in ours]:
        return _hub_shortens(shop, hub)
    if any(not _has_accents_of(mine, yours) for mine, yours in zip(ours, theirs, strict=True)):
        return False
    if any(accents(mine) != accents(yours) for mine, yours in zip(ours, theirs, strict=True)):
        return True
    return _capitalised(theirs) >= _capitalised(ours)


def _hub_shortens(shop: Sequence[str], hub: Sequence[str]) -> bool:
    """Whether the hub's name is the shop's with a form of address, with initials, or the given name of it alone."""
    for ours in ([*hub], [*hub][_titles(hub) :]):
        if not ours or len(ours) > len(shop) or not _contained([fold(w) for w in ours], [fold(w) for w in shop]):
            continue
        full = [word for word in ours if len(word) > 1]
        known = {fold(word): word for word in shop}
        if any(fold(word) not in known or not _has_accents_of(word, known[fold(word)]) for word in full):
            continue
        if len(ours) == len(shop):
            return True
        if len(ours) == 1 and fold(ours[0]) in _called([fold(word) for word in shop]):
            return True
    return False


def _titles(name: Sequence[str]) -> int:
    return len(name) - len(_addressed([fold(word) for word in name])[-1])


def _sorting(word: str) -> tuple[str, tuple[str, ...]]:
    return fold(word), accents(word)


def _has_accents_of(word: str, other: str) -> bool:
    """Whether `other` has every accent of `word`."""
    return not Counter(accents(word)) - Counter(accents(other))


def _capitalised(name: Sequence[str]) -> int:
    """How many words begin with a capital and go on with small letters."""
    return sum(len(word) > 1 and word[0].isupper() and word[1:] != word[1:].upper() for word in name)
